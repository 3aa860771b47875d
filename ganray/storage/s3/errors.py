"""Translation of boto3's and S3's errors into `StorageError`. Messages name the bucket and the server, and never a credential."""

import contextlib
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from botocore import exceptions
from botocore.exceptions import ClientError
from urllib3.exceptions import ProtocolError

from ganray.errors import StorageError, plural
from ganray.storage.base import FIELD

SET_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or an instance role"
OR_ANONYMOUS = f"{SET_CREDENTIALS}; for a public bucket, end its URI in ?anonymous=true"
RENEW = "renew them, as by `aws sso login`, or set a new AWS_SESSION_TOKEN"
NAME_REGION = "name the bucket's region: AWS_DEFAULT_REGION, or ?region=... at the end of the URI"
NAME_ENDPOINT = "check AWS_ENDPOINT_URL or ?endpoint_url=..., the network and the server"
WITHOUT_CHECKSUMS = "of a server that refuses checksums, set AWS_REQUEST_CHECKSUM_CALCULATION=when_required"
LOOK_UP = f"see what the server's documentation says of this code; {WITHOUT_CHECKSUMS}"
AGAIN = "run the same command again when the server is well"

# S3's error codes (of a HEAD, which has no body, the status) -> problem, remedy
CODES = {
    "NoSuchBucket": ("there is no bucket {bucket}", "create it: aws s3 mb s3://{bucket}"),
    "InvalidBucketName": ("{bucket} cannot be a bucket's name", "name it in 3 to 63 lower-case letters, digits, dots and hyphens"),
    "SignatureDoesNotMatch": ("the secret key is not the one of the access key", SET_CREDENTIALS),
    "InvalidAccessKeyId": ("the server does not know the access key", SET_CREDENTIALS),
    "ExpiredToken": ("the credentials have expired", RENEW),
    "InvalidToken": ("the session token is not valid", RENEW),
    "AccessDenied": ("access is denied", "let these credentials {operation} bucket {bucket}, or use others"),
    "403": ("access is denied", "let these credentials {operation} bucket {bucket}, or use others"),
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "set it, as by `timedatectl set-ntp true`"),
    "AllAccessDisabled": ("access is denied", "let these credentials {operation} bucket {bucket}, or use others"),
    "InvalidObjectState": (
        "{key} is archived, as in Glacier",
        "restore it (aws s3api restore-object --bucket {bucket} --key {key} --restore-request Days=7), or leave it out",
    ),
    "NotImplemented": (
        "the server lacks conditional writes, or checksums",
        f"use AWS, or a release of your server that has them; {WITHOUT_CHECKSUMS}",
    ),
    "XMinioStorageFull": ("the server's disks are full", "free some space there"),
    "QuotaExceeded": ("the bucket's quota is used up", "raise it, or free some space there"),
}
ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "IncorrectEndpoint", "301")
CONNECTION_ERRORS = (
    exceptions.EndpointConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.ReadTimeoutError,
    exceptions.ConnectionClosedError,
    exceptions.ProxyConnectionError,
    exceptions.ResponseStreamingError,
    exceptions.IncompleteReadError,
)


@contextlib.contextmanager
def s3_errors(operation: str, bucket: str, key: str = "an object") -> Iterator[None]:
    """Translate errors of credentials, network and server into a `StorageError`. `operation` is as in "write to".

    Arguments that boto3 refuses are a defect of ganray's, and pass.
    """
    try:
        yield
    except exceptions.ParamValidationError:
        raise
    except (exceptions.BotoCoreError, ClientError, ProtocolError) as error:
        problem, remedy = (text.format(bucket=bucket, operation=operation, key=key) for text in _explain(error))
        found = StorageError(FIELD, f"cannot {operation} s3://{bucket}: {problem}", remedy)
        found.depends_on_process = True  # on its credentials, its variables, its network
        raise found from None


def is_missing(error: ClientError) -> bool:
    """Whether the key does not exist, in a bucket that does."""
    return _status(error) == 404 and code_of(error) != "NoSuchBucket"


def is_beyond_end(error: ClientError) -> bool:
    """Whether a range of bytes was asked for that begins where the object has ended."""
    return _status(error) == 416


def is_unexplained(error: ClientError) -> bool:
    """Whether the request was a HEAD, whose errors have a status and no body, so that only another request tells the reason."""
    return code_of(error).isdecimal()


def is_lost_condition(error: ClientError) -> bool:
    """Whether a conditional write lost to another one. Servers differ in the status for it."""
    return is_missing(error) or _status(error) in (409, 412)


def is_conflict(error: ClientError) -> bool:
    """Whether another write of the same key was in progress, whose outcome is unknown."""
    return _status(error) == 409


def was_retried(error: ClientError) -> bool:
    """Whether the request was sent more than once, so that an earlier attempt may have succeeded."""
    return int(error.response["ResponseMetadata"].get("RetryAttempts", 0)) > 0


def server_of(url: str) -> str:
    """Return scheme, host and port of a URL, without credentials, path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _explain(error: exceptions.BotoCoreError | ClientError | ProtocolError) -> tuple[str, str]:
    match error:
        case ClientError():
            return _explain_response(error)
        case exceptions.NoCredentialsError():
            return "there are no credentials", OR_ANONYMOUS
        case exceptions.PartialCredentialsError():
            return "the credentials are not complete", SET_CREDENTIALS
        case exceptions.ProfileNotFound():
            return "AWS_PROFILE names no profile", "name one that `aws configure list-profiles` shows"
        case exceptions.SSOError() | exceptions.TokenRetrievalError() | exceptions.CredentialRetrievalError():
            return "the credentials could not be renewed", RENEW
        case exceptions.SSLError():
            return f"no trusted TLS connection to {_server(error)}", "set AWS_CA_BUNDLE to the server's CA, or repair its certificate"
        case ProtocolError():  # botocore does not wrap it where the body of an error response breaks off
            return "the connection breaks off", NAME_ENDPOINT
        case _ if isinstance(error, CONNECTION_ERRORS):
            return f"no connection to {_server(error)}", NAME_ENDPOINT
    return f"boto3 ends with {type(error).__name__}", "check the AWS_ variables, ~/.aws/config and ~/.aws/credentials"


def _explain_response(error: ClientError) -> tuple[str, str]:
    code = code_of(error)
    if code in ELSEWHERE:
        return f"the bucket is in {_region(error)}", NAME_REGION
    if code in CODES:
        return CODES[code]
    attempts = 1 + int(error.response["ResponseMetadata"].get("RetryAttempts", 0))
    if _status(error) >= 500 or code in ("SlowDown", "RequestTimeout"):
        return f"the server answers {code} after {plural(attempts, 'attempt')}", AGAIN
    return f"the server answers {code or _status(error)} to {error.operation_name}", LOOK_UP


def _region(error: ClientError) -> str:
    """Return the region that an answer from another one names."""
    headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
    named = headers.get("x-amz-bucket-region") or error.response["Error"].get("Region")
    return f"region {_plain(named)}" if named else "another region"


def _plain(text: str) -> str:
    """Return a word of a server's without whatever has no place in a code or a region."""
    return re.sub(r"[^A-Za-z0-9._-]", "", text)[:64]


def _server(error: exceptions.BotoCoreError) -> str:
    return server_of(url) if (url := error.kwargs.get("endpoint_url")) else "the server"


def code_of(error: ClientError) -> str:
    """Return S3's error code, "" if the response has none."""
    return _plain(str(error.response["Error"].get("Code", "")))


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
