"""The token of one server, for all its connections: read, refreshed before it expires, taken away.

No call waits for a person here. A token is refreshed by one task however many calls need it, which goes on
if the call that began it is cancelled: a refresh token may be good for one use only. Other hubs of the same
user are kept out meanwhile by a lock file.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from weakref import WeakValueDictionary

import httpx2
from mcp.client.auth.oauth2 import OAuthContext
from mcp.client.auth.utils import union_scopes
from mcp.shared.auth import OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl, ValidationError

from hub.oauth.errors import LoggedOut, NotNow, NoToken
from hub.oauth.record import LoginRecord, read_record, secret_name
from hub.secret_store import SecretStore, SecretStoreError
from hub.settings.oauth import LoginSettings

log = logging.getLogger("hub.oauth")

_EARLY_SECONDS = 60.0
"""Before its expiry a token is refreshed, or a quarter of its life where that is shorter."""
_REFRESH_SECONDS = 15.0
_PATIENCE_SECONDS = 20.0
"""For another hub that refreshes the same token."""
_REST_SECONDS = 10.0
"""After a refresh that failed for the time being, while the old token is still good."""


class Login:
    """Of one server at one address. Use `login_of`."""

    def __init__(self, server: str, url: str, store: SecretStore, settings: LoginSettings | None) -> None:
        self.server = server
        self.url = url
        self.settings = settings
        self.on_gone: set[Callable[[str], None]] = set()
        """Told why, when there is no token any more that was there before."""
        self._store = store
        self._name = secret_name(server, url)
        self._mark: str | None = ""
        self._record: LoginRecord | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._rest_until = 0.0
        self._refreshed_at = 0.0

    async def access_token(self) -> str | None:
        """One that is good for now; None: nobody has logged in.

        Raises LoggedOut (it expired, and cannot be refreshed) and NotNow (not at this moment).
        """
        record = await self._current()
        if record is None or record.token is None:
            return None
        now = time.time()
        if record.expires_at is not None and now >= record.expires_at - _early(record.token):
            expired = now >= record.expires_at
            if not record.token.refresh_token:
                if expired:
                    raise LoggedOut(f"the login has expired: {self.command}")
            elif expired or now >= self._rest_until:
                await self._refresh_once(record, must=expired)
                record = self._record
        return record.token.access_token if record is not None and record.token is not None else None

    async def another_token(self, refused: str) -> str | None:
        """In place of one that the server has just refused; None: there is no other.

        Raises LoggedOut and NotNow.
        """
        record = await self._current()
        if record is None or record.token is None:
            return None
        if record.token.access_token == refused:
            if time.time() < self._refreshed_at + _REST_SECONDS:
                return None  # a fresh one, too: another refresh would not help
            if not record.token.refresh_token:
                await self._give_up(record)
                raise LoggedOut(f"its token is no longer accepted: {self.command}")
            await self._refresh_once(record, must=True)
            record = self._record
        return record.token.access_token if record is not None and record.token is not None else None

    async def want(self, scopes: str) -> None:
        """Remember what the next login has to ask for, too."""
        record = await self._current()
        if record is None or set(scopes.split()) <= set((record.more_scopes or "").split()):
            return
        more = union_scopes(record.more_scopes, scopes)
        await self._save(record.model_copy(update={"more_scopes": more}))

    async def look_again(self) -> None:
        """Somebody may have logged in or out. Raises nothing."""
        had = self._record is not None and self._record.token is not None
        try:
            record = await self._current()
        except NoToken as error:
            log.warning("%s: %s", self.server, error)
            return
        if had and (record is None or record.token is None):
            for tell in tuple(self.on_gone):
                tell(f"logged out: {self.command}")

    @property
    def command(self) -> str:
        return f"run `hub login {self.server}`"

    # ------------------------------------------------------------ what is kept

    async def _current(self) -> LoginRecord | None:
        try:
            mark = self._store.mark(self._name)
            if mark != self._mark:
                text = await asyncio.to_thread(self._store.read, self._name) if mark is not None else None
                self._record, self._mark = read_record(text, self.url), mark
        except SecretStoreError as error:
            raise NotNow(str(error)) from None
        return self._record

    async def _save(self, record: LoginRecord) -> None:
        """A token that cannot be kept is used all the same, until the hub ends."""
        self._record = record
        try:
            await asyncio.to_thread(self._store.write, self._name, record.model_dump_json(exclude_none=True))
            self._mark = self._store.mark(self._name)
        except SecretStoreError as error:
            log.error("the login at %s cannot be kept: %s", self.server, error)

    async def _give_up(self, record: LoginRecord) -> None:
        await self._save(record.model_copy(update={"token": None, "expires_at": None}))

    # ------------------------------------------------------------ refreshing

    async def _refresh_once(self, record: LoginRecord, *, must: bool) -> None:
        """`must`: the old token is of no use any more."""
        task = self._refreshing
        if task is None or task.done():
            task = self._refreshing = asyncio.create_task(
                self._refresh(record), name=f"refresh {self.server}"
            )
            task.add_done_callback(_look_at_the_end)
        try:
            await asyncio.shield(task)
        except NotNow:
            self._rest_until = time.time() + _REST_SECONDS
            if must:
                raise

    async def _refresh(self, before: LoginRecord) -> None:
        assert before.token is not None
        held = self._store.alone(self._name, _PATIENCE_SECONDS)
        try:
            await asyncio.to_thread(held.__enter__)
        except (TimeoutError, SecretStoreError) as error:
            raise NotNow(f"its token cannot be refreshed: {error or 'another hub does it'}") from None
        try:
            record = await self._current()
            if record is None or record.token is None:
                raise LoggedOut(f"nobody is logged in any more: {self.command}")
            if record.token.access_token != before.token.access_token:
                return  # another hub was quicker
            token = await self._fetch(record)
            if token is None:
                await self._give_up(record)
                raise LoggedOut(f"the login has expired or was taken back: {self.command}")
            await self._save(
                record.model_copy(update={"token": token, "expires_at": expiry(token, time.time())})
            )
            self._refreshed_at = time.time()
            log.info("the token of %s was refreshed", self.server)
        finally:
            held.__exit__(None, None, None)

    async def _fetch(self, record: LoginRecord) -> OAuthToken | None:
        """A new token; None: the authorization server gives none. Raises NotNow.

        RFC 6749, section 6: what the answer does not say stays as it was.
        """
        old = record.token
        assert old is not None
        form = {
            "grant_type": "refresh_token",
            "refresh_token": old.refresh_token or "",
            "client_id": record.client.client_id,
            **({"resource": record.resource} if record.resource else {}),
        }
        form, headers = _client_context(record, self.settings).prepare_token_auth(form, {})
        where = httpx2.URL(record.token_endpoint).copy_with(query=None)
        try:
            async with (
                asyncio.timeout(_REFRESH_SECONDS),
                httpx2.AsyncClient(follow_redirects=False, timeout=_REFRESH_SECONDS) as client,
            ):
                answer = await client.post(record.token_endpoint, data=form, headers=headers)
        except (TimeoutError, httpx2.HTTPError, OSError) as error:
            raise NotNow(
                f"its token cannot be refreshed now: {where} does not answer ({type(error).__name__})"
            ) from None
        if answer.status_code in (400, 401, 403):
            return None
        if answer.status_code != 200:
            raise NotNow(f"its token cannot be refreshed now: HTTP {answer.status_code} from {where}")
        try:
            token = OAuthToken.model_validate_json(answer.content)
        except ValidationError:
            raise NotNow(f"its token cannot be refreshed now: {where} answers with no token") from None
        kept = {name: getattr(old, name) for name in ("scope", "refresh_token") if not getattr(token, name)}
        return token.model_copy(update=kept)


def expiry(token: OAuthToken, now: float) -> float | None:
    """Unix seconds."""
    return now + token.expires_in if token.expires_in is not None else None


def _early(token: OAuthToken) -> float:
    return min(_EARLY_SECONDS, (token.expires_in or 0) / 4)


def _client_context(record: LoginRecord, settings: LoginSettings | None) -> OAuthContext:
    """For the SDK's ways of client authentication. A secret of the settings may have been renewed."""
    client = record.client
    if settings is not None and settings.client_secret and settings.client_id == client.client_id:
        client = client.model_copy(update={"client_secret": settings.client_secret.get_secret_value()})
    metadata = OAuthClientMetadata(
        redirect_uris=client.redirect_uris or [AnyUrl("http://127.0.0.1/callback")]
    )
    return OAuthContext(record.url, metadata, _NoStorage(), None, None, client_info=client)


class _NoStorage:
    """The SDK wants one; nothing here asks it."""

    async def get_tokens(self) -> OAuthToken | None:
        return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        raise NotImplementedError

    async def get_client_info(self) -> None:
        return None

    async def set_client_info(self, client_info: object) -> None:
        raise NotImplementedError


def _look_at_the_end(task: asyncio.Task[None]) -> None:
    """Whoever waited may be gone: nobody else is told, and that is no accident."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.debug("a token was not refreshed: %s", error)


_logins: WeakValueDictionary[tuple[str, str, str], Login] = WeakValueDictionary()


def login_of(server: str, url: str, settings: LoginSettings | None) -> Login:
    """The one that all connections to a server share."""
    store = SecretStore()
    key = (str(store.path), server, url)
    login = _logins.get(key)
    if login is None:
        login = _logins[key] = Login(server, url, store, settings)
    login.settings = settings
    return login


async def look_again() -> None:
    """For all logins that are in use: the file has changed."""
    await asyncio.gather(*(login.look_again() for login in list(_logins.values())))
