"""Signatures of manifests by Ed25519 (RFC 8032) keys in PEM files, as `openssl genpkey -algorithm ed25519` makes them.

A signature is a file of 64 raw bytes named by the manifest's hash, so `openssl pkeyutl -verify -rawin` checks it too.
"""

import logging
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from ganray.errors import ArtifactError, ConfigError
from ganray.registry.manifest import Manifest, misplacement
from ganray.storage import MissingObject, ObjectStore, RefusedObject
from ganray.storage.files import open_regular

logger = logging.getLogger(__name__)

SIGNATURE_BYTES = 64
MAX_KEY_BYTES = 1 << 20
NOT_SIGNED = "is not signed"
SIGN_IT = "publish it with publish.signing_key, or push it again with --signing-key"
PASSPHRASE = "GANRAY_SIGNING_PASSPHRASE"  # the environment variable with the passphrase of an encrypted key
MAKE_ONE = "make one: openssl genpkey -algorithm ed25519 -out signing.pem; openssl pkey -in signing.pem -pubout -out signing.pub.pem"


def signature_name(manifest_hash: str) -> str:
    """Return the name of the file with a manifest's signature."""
    return f"manifest-{manifest_hash[:16]}.sig"


def load_private_key(path: str | Path, *, field: str) -> Ed25519PrivateKey:
    """Return the private key in a PEM file. Raises `ConfigError` for `field`, which repeats nothing of the file's content."""
    passphrase = os.environ.get(PASSPHRASE)
    try:
        key = load_pem_private_key(_read(path, field), passphrase.encode() if passphrase else None)
    except TypeError:
        raise ConfigError(
            field, f"the key in {path} is encrypted, or is not and {PASSPHRASE} is set", f"set or unset {PASSPHRASE}"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(field, f"{path} is not a private key in PEM, or {PASSPHRASE} does not open it", MAKE_ONE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(field, f"the key in {path} is not Ed25519", MAKE_ONE)
    return key


def load_public_key(path: str | Path, *, field: str) -> Ed25519PublicKey:
    """Return the public key in a PEM file. Raises `ConfigError` for `field`."""
    try:
        key = load_pem_public_key(_read(path, field))
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(field, f"{path} is not a public key in PEM", "name the file that `openssl pkey -pubout` wrote") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(field, f"the key in {path} is not Ed25519", "name the public half of the key that signed")
    return key


def check_signature(store: ObjectStore, manifest: Manifest, key: Ed25519PublicKey) -> None:
    """Raise `ArtifactError` unless the artifact in `store` is signed by the private half of `key`, as the version that its folder names.

    What is signed, the manifest, names model and version; so a signed version does not pass for another one.
    """
    try:
        key.verify(store.read_at_most(signature_name(manifest.hash), SIGNATURE_BYTES), manifest.data)
    except MissingObject:
        raise ArtifactError(store.uri, NOT_SIGNED, f"do not use it; or, if you made it, {SIGN_IT}") from None
    except (InvalidSignature, RefusedObject):
        raise ArtifactError(store.uri, "is not signed by this key", "do not use it, or name the public key of its publisher") from None
    if problem := misplacement(store, manifest):
        raise ArtifactError(store.uri, problem, "do not use it; pull it from where it was published")


def is_signed(store: ObjectStore, manifest: Manifest) -> bool:
    """Whether there is a signature of the artifact in `store`, by any key."""
    try:
        store.read_at_most(signature_name(manifest.hash), SIGNATURE_BYTES)
    except (MissingObject, RefusedObject):
        return False
    return True


def sign_manifest(store: ObjectStore, manifest: Manifest, key: Ed25519PrivateKey) -> None:
    """Store the signature of the artifact in `store`, unless there is one."""
    store.write_if_absent(signature_name(manifest.hash), key.sign(manifest.data))


def sign_published(store: ObjectStore, published: Manifest, expected: bytes, key: Ed25519PrivateKey) -> None:
    """Sign an artifact that was published before, unless its manifest is not the one that is `expected`, as it would be published now."""
    if published.data == expected:
        sign_manifest(store, published, key)
    elif not is_signed(store, published):
        logger.warning("%s was published before, with another manifest, and stays unsigned", store.uri)


def _read(path: str | Path, field: str) -> bytes:
    try:
        with open_regular(Path(path).expanduser()) as file:
            return file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise ConfigError(field, f"cannot read {path} ({(error.strerror or str(error)).lower()})", MAKE_ONE) from None
    except RefusedObject as error:
        raise ConfigError(field, f"{path} {error}", MAKE_ONE) from None
