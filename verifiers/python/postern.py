"""Verifies Postern's access tokens inside a service.

Copy this file. It needs Python 3.9 or newer and `cryptography`; `requires_token` needs Flask.
"""

import base64
import functools
import http
import json
import re
import threading
import time
import urllib.request
import zlib
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256

ATTEMPT_SECONDS = 5
PAUSE_SECONDS = 0.5  # least time between two fetches of the same thing
CLOCK_SKEW_SECONDS = 60
LARGEST_LIST_BYTES = 1 << 24

REFUSALS = {
    "missing_token": (401, "Send a token in the Authorization header, as Bearer."),
    "invalid_token": (401, "The token is not valid here. Sign in again."),
    "wrong_token_type": (401, "This is another type of token. Send an access token."),
    "token_expired": (401, "The token has expired. Refresh it, or sign in again."),
    "token_revoked": (401, "The token was revoked. Sign in again."),
    "forbidden": (403, "The token lacks the required role. Ask an administrator."),
    "unavailable": (503, "The token cannot be checked right now. Try again in a moment."),
}


class Refused(Exception):
    """The reason for a refused token: a stable `code` and its HTTP `status`. Log the `__cause__` of `unavailable`."""

    def __init__(self, code):
        self.code = code
        self.status, detail = REFUSALS[code]
        super().__init__(detail)


class Verifier:
    """Verifies access tokens. One per process is enough; threads may share it.

    issuer, audience: exactly Postern's ISSUER and AUDIENCE. The verifier finds all addresses from the issuer.
    follow: the source of revocations: "feed" (milliseconds), "status-list" (at most its ttl late), or "none".
    client_id, client_secret: the credentials of an API client, from `clients create`. Only the feed needs them.
    max_silence: seconds that the feed may be silent before tokens are refused. Postern sends something every 15.
    fail_open: accepts tokens whose revocation cannot be checked, and keeps keys that cannot be fetched again.
    """

    def __init__(self, issuer, audience, follow, client_id=None, client_secret=None, max_silence=30, fail_open=False):
        if follow not in ("feed", "status-list", "none"):
            raise ValueError('follow must be "feed", "status-list" or "none".')
        if follow == "feed" and not (client_id and client_secret):
            raise ValueError("The feed needs client_id and client_secret.")
        self._issuer, self._audience, self._fail_open = issuer, audience, fail_open
        self._keys = _Keys(issuer, fail_open)
        self._check = {
            "feed": lambda: _Feed(issuer, f"{client_id}:{client_secret}", max_silence).check,
            "status-list": lambda: _StatusLists(issuer, self._open, self._keys).check,
            "none": lambda: lambda claims, kid: None,
        }[follow]()

    def verify(self, token):
        """Returns the claims of a good token, as a dict. Raises Refused only."""
        try:
            kid, claims = self._open(token, "at+jwt")
            if claims.get("iss") != self._issuer or claims.get("aud") != self._audience or not _are_complete(claims):
                raise Refused("invalid_token")
            if claims["exp"] <= time.time():  # to the second: the revocation may be forgotten from then on
                raise Refused("token_expired")
            try:
                self._check(claims, kid)
            except Exception as error:
                if isinstance(error, Refused) or not self._fail_open:
                    raise
            return claims
        except Refused:
            raise
        except Exception as error:
            raise Refused("unavailable") from error

    def requires_token(self, role=None):
        """A decorator for Flask views. Sets `flask.g.user` to the claims, or answers 401, 503, or 403 when the token lacks the role."""
        import flask

        def decorate(view):
            @functools.wraps(view)
            def guarded(*args, **kwargs):
                try:
                    # WSGI joins repeated headers with a comma, and no token contains one
                    match = re.match("bearer (.*)", flask.request.headers.get("Authorization", ""), re.IGNORECASE)
                    if not match:
                        raise Refused("missing_token")
                    flask.g.user = self.verify(match[1])
                    if role is not None and role not in flask.g.user["roles"]:
                        raise Refused("forbidden")
                except Refused as refused:
                    return _to_response(refused)
                return view(*args, **kwargs)

            return guarded

        return decorate

    def _open(self, jwt, typ):
        """Verifies the type and the signature of a JWT. Returns the key's id and the payload."""
        match = re.fullmatch(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", jwt)
        if not match:
            raise Refused("invalid_token")
        header = _parse_part(match[1])
        if header.get("typ") != typ:
            raise Refused("wrong_token_type")
        alg, verify_signature = self._keys.find(header.get("kid")) or (None, None)
        if not alg or header.get("alg") != alg or "crit" in header:  # the key decides the algorithm; the token only repeats it
            raise Refused("invalid_token")
        try:
            verify_signature(_decode(match[3]), f"{match[1]}.{match[2]}".encode())
        except (InvalidSignature, ValueError):
            raise Refused("invalid_token") from None
        return header["kid"], _parse_part(match[2])


class _Keys:
    """Postern's public keys. Fetches them again when they are too old, and when one is missing."""

    def __init__(self, issuer, fail_open):
        self._issuer, self._fail_open, self._keys = issuer, fail_open, {}
        self._loaded_at, self._max_age = float("-inf"), 0
        self._load = _Shared(self._fetch)
        self.limit = float("inf")
        """Seconds after which keys are fetched again. Without the feed, only a new fetch shows that a key was revoked."""

    def find(self, kid):
        if not isinstance(kid, str):
            return None
        if time.monotonic() - self._loaded_at > min(self._max_age, self.limit):
            try:
                self._load()
            except Exception:
                if not self._fail_open:
                    raise
        if kid not in self._keys:
            self._load()
        return self._keys.get(kid)

    def _fetch(self, _):
        asked = time.monotonic()
        metadata = json.load(_get(f"{self._issuer}/.well-known/oauth-authorization-server"))
        if metadata["issuer"] != self._issuer:
            raise ValueError(f"The issuer is {metadata['issuer']}, not {self._issuer}")
        response = _get(metadata["jwks_uri"])
        self._keys = {jwk["kid"]: (jwk["alg"], _ALGORITHMS[jwk["alg"]](jwk)) for jwk in json.load(response)["keys"] if jwk["alg"] in _ALGORITHMS}
        max_age = re.search(r"max-age=(\d+)", response.headers.get("Cache-Control", ""))
        self._max_age = int(max_age[1]) if max_age else 60
        self._loaded_at = asked


class _Feed:
    """Follows GET /revocations. Remembers every revoked token, session and key until it expires."""

    def __init__(self, issuer, credentials, max_silence):
        self._url, self._max_silence = f"{issuer}/revocations", max_silence
        self._headers = {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}
        self._revoked, self._cursor, self._last_message_at = {}, "0", float("-inf")
        self._fault, self._attempted = None, threading.Event()
        self._starting, self._is_started = threading.Lock(), False

    def check(self, claims, kid):
        with self._starting:  # not in the constructor: a server may fork after it, and a fork has no threads
            if not self._is_started:
                threading.Thread(target=self._follow, daemon=True).start()
            self._is_started = True
        self._attempted.wait()
        if any(id in self._revoked for id in (claims["jti"], claims["sid"], kid)):
            raise Refused("token_revoked")
        if time.monotonic() - self._last_message_at > self._max_silence:
            raise ConnectionError("The feed is silent") from self._fault

    def _follow(self):
        while True:
            try:
                self._catch_up()
                self._listen()
            except Exception as error:
                self._fault = error
            self._attempted.set()
            time.sleep(PAUSE_SECONDS)

    def _catch_up(self):  # in pages: a page says when all past revocations were sent; events do not
        more = True
        while more:
            page = json.load(_get(f"{self._url}?since={self._cursor}", self._headers))
            for revocation in page["revocations"]:
                self._remember(revocation)
            self._cursor, more = page["cursor"], page["more"]

    def _listen(self):
        headers = {**self._headers, "Accept": "text/event-stream", "Last-Event-ID": self._cursor}
        cursor, data = self._cursor, ""
        for line in _get(self._url, headers, self._max_silence * 2 / 3):  # the last third is for the new connection
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "id":
                cursor = value
            elif field == "data":
                data = value
            elif field == "" and value:  # a comment, by which Postern shows that it is still there
                self._revoked = {id: until for id, until in self._revoked.items() if until > time.time()}
            elif field == "" and data:
                self._remember(json.loads(data))
                self._cursor, data = cursor, ""
            self._last_message_at = time.monotonic()
            self._attempted.set()

    def _remember(self, revocation):
        self._revoked[revocation["id"]] = datetime.fromisoformat(revocation["until"].replace("Z", "+00:00")).timestamp()


class _StatusLists:
    """Reads the status lists that tokens point to (draft-ietf-oauth-status-list-21), each again after its `ttl`."""

    def __init__(self, issuer, open_jwt, keys):
        self._issuer, self._open, self._keys, self._lists = issuer, open_jwt, keys, {}
        self._load = _Shared(self._fetch)

    def check(self, claims, kid):
        try:
            index, uri = claims["status"]["status_list"]["idx"], claims["status"]["status_list"]["uri"]
        except (KeyError, TypeError):
            raise Refused("invalid_token") from None
        if type(index) is not int or not isinstance(uri, str) or not uri.startswith(f"{self._issuer}/"):
            raise Refused("invalid_token")
        if uri not in self._lists or self._lists[uri]["good_until"] <= time.monotonic():
            self._load(uri)
        bits = self._lists[uri]["bits"]
        if not 0 <= index < len(bits) * 8:
            raise Refused("invalid_token")
        if bits[index // 8] >> index % 8 & 1:
            raise Refused("token_revoked")

    def _fetch(self, uri):
        self._lists = {uri: known for uri, known in self._lists.items() if known["exp"] > time.time()}
        asked, known = time.monotonic(), self._lists.get(uri)
        headers = {"Accept": "application/statuslist+jwt", **({"If-None-Match": known["etag"]} if known else {})}
        response = _get(uri, headers)
        found = known if known and response.status == 304 else self._read(response, uri)
        self._lists[uri] = {**found, "good_until": asked + found["ttl"]}
        self._keys.limit = found["ttl"]

    def _read(self, response, uri):
        try:
            _, payload = self._open(response.read().decode("ascii"), "statuslist+jwt")
        except Refused:
            payload = {}
        good = payload.get("sub") == uri and _is_time(payload.get("iat")) and payload["iat"] <= time.time() + CLOCK_SKEW_SECONDS
        good = good and _is_time(payload.get("exp")) and payload["exp"] > time.time() and payload["status_list"]["bits"] == 1
        if not good:
            raise ValueError(f"{uri} is not a valid status list")
        bits = zlib.decompressobj().decompress(_decode(payload["status_list"]["lst"]), LARGEST_LIST_BYTES)
        return {"bits": bits, "etag": response.headers.get("ETag", ""), "exp": payload["exp"], "ttl": float(payload["ttl"])}


class _Shared:
    """Runs one attempt at a time. All callers with the same key share its outcome, a failure too, until PAUSE_SECONDS after it."""

    def __init__(self, attempt):
        self._attempt, self._lock, self._last = attempt, threading.Lock(), {}

    def __call__(self, key=None):
        with self._lock:
            ended_at, error = self._last.get(key, (float("-inf"), None))
            if time.monotonic() >= ended_at + PAUSE_SECONDS:
                error = None
                try:
                    self._attempt(key)
                except Exception as caught:
                    error = caught
                self._last[key] = (time.monotonic(), error)
        if error:
            raise ConnectionError("Postern cannot be reached") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):  # the credentials would be sent along
        return None


class _NotModified(urllib.request.BaseHandler):
    def http_error_304(self, _request, response, *_):
        return response


_opener = urllib.request.build_opener(_NoRedirects, _NotModified)


def _get(url, headers={}, timeout=ATTEMPT_SECONDS):
    return _opener.open(urllib.request.Request(url, headers={"Cache-Control": "no-cache", **headers}), timeout=timeout)


def _decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _parse_part(part):
    """A part of a token as a dict; an empty dict when it is not a JSON object."""
    try:
        value = json.loads(_decode(part))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _es256(jwk):
    key = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), ec.SECP256R1()).public_key()

    def verify_signature(signature, text):
        if len(signature) != 64:
            raise InvalidSignature
        halves = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        key.verify(utils.encode_dss_signature(*halves), text, ec.ECDSA(SHA256()))

    return verify_signature


def _rsa(how):
    def algorithm(jwk):
        key = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
        return lambda signature, text: key.verify(signature, text, how, SHA256())

    return algorithm


_ALGORITHMS = {
    "ES256": _es256,
    "RS256": _rsa(padding.PKCS1v15()),
    "PS256": _rsa(padding.PSS(padding.MGF1(SHA256()), 32)),
    "EdDSA": lambda jwk: ed25519.Ed25519PublicKey.from_public_bytes(_decode(jwk["x"])).verify,
}


def _number(part):
    return int.from_bytes(_decode(part), "big")


def _is_time(value):
    return type(value) is int


def _are_complete(claims):
    texts = (claims.get(name) for name in ("sub", "client_id", "jti", "sid"))
    times = (claims.get(name) for name in ("iat", "exp", "auth_time"))
    roles = claims.get("roles")
    return (
        all(isinstance(text, str) and text for text in texts) and all(map(_is_time, times)) and "nbf" not in claims
        and claims["iat"] <= time.time() + CLOCK_SKEW_SECONDS
        and isinstance(roles, list) and all(isinstance(role, str) for role in roles)
    )


def _to_response(refused):
    """The response to a refusal, as Postern itself gives it: a challenge (RFC 6750) and a problem (RFC 9457)."""
    status, detail = refused.status, str(refused)
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
    if refused.code == "missing_token":
        headers["WWW-Authenticate"] = "Bearer"
    elif status != 503:
        fault = "insufficient_scope" if status == 403 else "invalid_token"
        headers["WWW-Authenticate"] = f'Bearer error="{fault}", error_description="{detail}"'
    body = {"type": "about:blank", "title": http.HTTPStatus(status).phrase, "status": status, "detail": detail, "code": refused.code}
    return json.dumps(body), status, headers
