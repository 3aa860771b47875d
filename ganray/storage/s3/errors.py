"""What S3 answers, in a user's words. Messages name the bucket and the server, and never a credential."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from botocore import exceptions
from botocore.exceptions import ClientError
from urllib3.exceptions import ProtocolError

from ganray.errors import StorageError
from ganray.storage.base import FIELD

SET_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or an instance role"
RENEW = "renew them, as by `aws sso login`, or set a new AWS_SESSION_TOKEN"
NAME_REGION = "name the bucket's region: AWS_DEFAULT_REGION, or ?region=... at the end of the URI"
NAME_ENDPOINT = "check AWS_ENDPOINT_URL or ?endpoint_url=..., the network and the server"
AGAIN = "run the same command again when the server is well"

# S3's error codes (where a HEAD has no body, the status) -> problem, remedy
CODES = {
    "NoSuchBucket": ("there is no bucket {bucket}", "create it: aws s3 mb s3://{bucket}"),
    "InvalidBucketName": ("{bucket} cannot be a bucket's name", "name it in 3 to 63 lower-case letters, digits, dots and hyphens"),
    "SignatureDoesNotMatch": ("the secret key is not the one of the access key", SET_CREDENTIALS),
    "InvalidAccessKeyId": ("the server does not know the access key", SET_CREDENTIALS),
    "ExpiredToken": ("the credentials have expired", RENEW),
    "InvalidToken": ("the session token is not valid", RENEW),
    "AccessDenied": ("access is denied", "let these credentials {doing} bucket {bucket}, or use others"),
    "403": ("access is denied", "let these credentials {doing} bucket {bucket}, or use others"),
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "set it, as by `timedatectl set-ntp true`"),
    "PermanentRedirect": ("the bucket is in another region", NAME_REGION),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", NAME_REGION),
    "IllegalLocationConstraintException": ("the bucket is in another region", NAME_REGION),
    "NotImplemented": ("the server lacks conditional writes", "use AWS, or a release of your server that has them"),
    "XMinioStorageFull": ("the server's disks are full", "free some space there"),
    "QuotaExceeded": ("the bucket's quota is used up", "raise it, or free some space there"),
}
BROKEN = (
    exceptions.EndpointConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.ReadTimeoutError,
    exceptions.ConnectionClosedError,
    exceptions.ProxyConnectionError,
    exceptions.ResponseStreamingError,
    exceptions.IncompleteReadError,
)


@contextlib.contextmanager
def s3_errors(doing: str, bucket: str) -> Iterator[None]:
    """Turn what a user has to mend about a bucket into a `GanrayError`; other errors pass. `doing` is as in "write to"."""
    try:
        yield
    except (exceptions.BotoCoreError, ClientError, ProtocolError) as error:
        explained = _explain(error)
        if explained is None:
            raise
        problem, remedy = (text.format(bucket=bucket, doing=doing) for text in explained)
        raise StorageError(FIELD, f"cannot {doing} s3://{bucket}: {problem}", remedy) from None


def is_missing(error: ClientError) -> bool:
    """Whether the key is not there, though its bucket is as far as the server says."""
    return _status(error) == 404 and code_of(error) != "NoSuchBucket"


def is_unexplained(error: ClientError) -> bool:
    """Whether the request was a HEAD, whose refusals have no body, so that another request has to say why."""
    return code_of(error) in ("403", "404")


def is_lost_condition(error: ClientError) -> bool:
    """Whether a conditional write found that another one was first. Servers differ in how they say so."""
    return is_missing(error) or _status(error) in (409, 412)


def is_conflict(error: ClientError) -> bool:
    """Whether another write of the same key was under way, whose end is not known yet."""
    return _status(error) == 409


def was_retried(error: ClientError) -> bool:
    """Whether the request was sent more than once, so that an earlier one may have done what the last was refused."""
    return error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0


def server_of(url: str) -> str:
    """Return scheme, host and port of a URL, without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _explain(error: exceptions.BotoCoreError | ClientError | ProtocolError) -> tuple[str, str] | None:
    match error:
        case ClientError():
            return _explain_answer(error)
        case exceptions.NoCredentialsError():
            return "there are no credentials", SET_CREDENTIALS
        case exceptions.PartialCredentialsError():
            return "the credentials are not complete", SET_CREDENTIALS
        case exceptions.ProfileNotFound():
            return "AWS_PROFILE names no profile", "name one that `aws configure list-profiles` shows"
        case exceptions.SSOError() | exceptions.TokenRetrievalError() | exceptions.CredentialRetrievalError():
            return "the credentials could not be renewed", RENEW
        case exceptions.SSLError():
            return f"no trusted TLS connection to {_server(error)}", "set AWS_CA_BUNDLE to the server's CA, or mend its certificate"
        case ProtocolError():  # botocore lets it through where the body of an error breaks off
            return "the connection breaks off", NAME_ENDPOINT
        case _ if isinstance(error, BROKEN):
            return f"no connection to {_server(error)}", NAME_ENDPOINT
    return None


def _explain_answer(error: ClientError) -> tuple[str, str] | None:
    code = code_of(error)
    if code in CODES:
        return CODES[code]
    if _status(error) >= 500 or code in ("SlowDown", "RequestTimeout"):
        return f"the server answers {code} after {1 + error.response['ResponseMetadata'].get('RetryAttempts', 0)} attempts", AGAIN
    return None


def _server(error: exceptions.BotoCoreError) -> str:
    return server_of(url) if (url := error.kwargs.get("endpoint_url")) else "the server"


def code_of(error: ClientError) -> str:
    """Return S3's error code, "" if the answer has none."""
    return error.response["Error"].get("Code", "")


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]
