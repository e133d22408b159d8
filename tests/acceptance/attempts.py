"""Attempts against a q that asks who calls: who there is, and a table of what they try."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import grpc

from qmq.access.tokens import Token, make_token
from tests.acceptance.rest import JSON, RestReply, rest
from tests.acceptance.running import RunningQ
from tests.access.policies import some_bytes
from tests.transport.test_envoy_identity import ISSUER, Signer

UNKNOWN_ID: Final = "00000000-0000-4000-8000-000000000000"

#: Who there is, and what that one may do, as the file has it.
RIGHTS: Final = {
    "root": '{ queues = "*", may = ["admin"] }',
    "worker": '{ queues = "billing.*", may = ["produce", "consume"] }',
    "reader": '{ queues = "billing.*", may = ["browse"] }',
    "team": '{ selector = "team=billing", may = ["manage", "consume"] }',
    "manager": '{ queues = "*", may = ["manage"] }, { selector = "team=x", may = ["consume"] }',
    "idle": "",
    "expired": '{ queues = "*", may = ["admin"] }',
    "revoked": '{ queues = "*", may = ["admin"] }',
    "federated": '{ queues = "billing.*", may = ["browse"] }',
    "slow": '{ queues = "billing.*", may = ["produce", "consume"] }',
}


class Fortress:
    """A q that asks who calls, and everybody's tokens."""

    def __init__(self, directory: Path, q: RunningQ) -> None:
        self.q = q
        self.path = directory / "access.toml"
        self.audit = directory / "audit.jsonl"
        self.signer = Signer()
        (directory / "keys.json").write_text(self.signer.jwks)
        now = datetime.now(UTC)
        made = {
            name: make_token(
                some_bytes,
                created=now,
                expires=now - timedelta(seconds=1) if name == "expired" else None,
            )
            for name in RIGHTS
        }
        self.tokens = {name: text for name, (text, _) in made.items()}
        self.kept = {name: kept for name, (_, kept) in made.items()}
        #: Ids of queues, by name.
        self.ids: dict[str, str] = {}
        self.write()

    def write(self, *, without: str = "", **more: str) -> None:
        """Write the access file: without somebody's token, and with more that somebody has."""
        parts = []
        for name, rights in RIGHTS.items():
            tokens = "" if name == without else _toml(self.kept[name])
            own = {
                "slow": "calls_per_second = 2\n",
                "federated": f'jwt = [{{ issuer = "{ISSUER}", claims = {{ group = "g" }} }}]\n',
            }.get(name, "")
            parts.append(
                f'[[identity]]\nname = "{name}"\ntokens = [{tokens}]\n'
                f"rights = [{more.get(name, rights)}]\n{own}"
            )
        parts.append('[[quota]]\nqueues = "billing.q*"\nqueues_max = 1\nmessages_max = 2\n')
        parts.append(
            f'[[issuer]]\nissuer = "{ISSUER}"\naudiences = ["q"]\njwks_file = "keys.json"\n'
        )
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(parts))
        new.chmod(0o600)
        new.rename(self.path)

    def headers(self, who: str) -> dict[str, str]:
        """Return the header by which one shows who that is; none for nobody."""
        return {"authorization": f"Bearer {self.tokens[who]}"} if who else {}

    def call(
        self, who: str, method: str, path: str, body: object = None, **headers: str
    ) -> RestReply:
        """Send a REST request as somebody."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        every = {**(JSON if body is not None else {}), **self.headers(who), **sent}
        return rest(self.q.address, method, path, body, every)


def _toml(kept: Token) -> str:
    expires = f", expires = {kept.expires:%Y-%m-%dT%H:%M:%SZ}" if kept.expires else ""
    return f'{{ id = "{kept.id}", sha256 = "{kept.sha256}"{expires} }}'


class Case(NamedTuple):
    """One attempt by REST, and its end."""

    name: str
    status: int
    who: str
    method: str
    path: str
    body: object = None
    headers: dict[str, str] = {}  # noqa: RUF012 - Never changed.


ADD: Final = {"payload": "eA=="}
SECRET: Final = "/v1/queues/secret"
OURS: Final = "/v1/queues/billing.a"
TAG: Final = {"key": "team", "value": "x"}

CASES: Final = [
    # Who is nobody.
    Case("no token", 401, "", "GET", "/v1/queues"),
    Case("no token, a queue that is there", 401, "", "GET", SECRET),
    Case("no token, a queue that is not there", 401, "", "GET", "/v1/queues/none"),
    Case("no token, add", 401, "", "POST", OURS, ADD),
    Case("no token, new queue", 401, "", "POST", "/v1/queues", {"name": "mine"}),
    Case("no token, schedules of all", 401, "", "GET", "/v1/schedules"),
    Case("no token, counts of all", 401, "", "GET", "/v1/stats"),
    Case("no token, complete", 401, "", "POST", "/v1/complete", {}),
    Case("expired", 401, "expired", "GET", "/v1/queues"),
    Case("revoked", 401, "revoked", "GET", "/v1/queues"),
    Case("scheme Basic", 401, "", "GET", "/v1/queues", None, {"authorization": "Basic cm9vdDp4"}),
    Case("bare scheme", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer"}),
    Case("nonsense", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer nonsense"}),
    Case("no scheme", 401, "", "GET", "/v1/queues", None, {"authorization": "{root}"}),
    Case("token cut off", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer {root:cut}"}),
    Case("token longer", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer {root}A"}),
    Case("two tokens in one", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer {root} {root}"}),
    Case("two schemes in one", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer x, Bearer {root}"}),
    Case("an id with another's secret", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer {mixed}"}),
    Case("the hash in place of the secret", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer {hash}"}),
    Case("a JWT that nobody verified", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJpIn0."}),
    Case("token in another header", 401, "", "GET", "/v1/queues", None, {"x-authorization": "Bearer {root}"}),
    Case("token for a proxy", 401, "", "GET", "/v1/queues", None, {"proxy-authorization": "Bearer {root}"}),
    Case("token in a cookie", 401, "", "GET", "/v1/queues", None, {"cookie": "authorization=Bearer {root}"}),
    Case("token in the query", 400, "", "GET", "/v1/queues?access_token=x"),
    # Headers that only Envoy or another q may set.
    Case("forged JWT payload", 401, "", "GET", "/v1/queues", None, {"x-q-jwt": "eyJpc3MiOiJpIiwic3ViIjoicm9vdCJ9"}),
    Case("forged certificate", 401, "", "GET", "/v1/queues", None, {"x-forwarded-client-cert": 'Subject="CN=root"'}),
    Case("forged as of another q", 401, "", "GET", "/v1/queues", None, {"q-forwarded": "127.0.0.1:1"}),
    Case("forged address", 401, "", "GET", "/v1/queues", None, {"x-forwarded-for": "127.0.0.1"}),
    Case("forged path", 401, "", "GET", "/v1/queues", None, {"x-envoy-original-path": "/healthz"}),
    Case("forged method", 401, "", "GET", "/v1/queues", None, {"x-http-method-override": "OPTIONS"}),
    Case("forged certificate of one who is known", 403, "idle", "GET", SECRET, None, {"x-forwarded-client-cert": 'Subject="CN=root"'}),
    # Others' queues, by name and by id; those that are not there look the same.
    Case("another's queue by name", 403, "worker", "GET", f"{SECRET}/pop"),
    Case("another's queue by id", 403, "worker", "GET", "/v1/queues/{id:secret}/pop"),
    Case("by id in capitals", 403, "worker", "GET", "/v1/queues/{ID:secret}/pop"),
    Case("by urn", 403, "worker", "GET", "/v1/queues/urn:uuid:{id:secret}/pop"),
    Case("a name that is not there", 403, "worker", "GET", "/v1/queues/none/pop"),
    Case("an id that is not there", 403, "worker", "GET", f"/v1/queues/{UNKNOWN_ID}/pop"),
    Case("add to another's", 403, "worker", "POST", SECRET, ADD),
    Case("batch to another's", 403, "worker", "POST", f"{SECRET}/messages:batch", {"messages": [ADD]}),
    Case("peek without browse", 403, "worker", "GET", f"{OURS}/peek"),
    Case("browse without it", 403, "worker", "GET", f"{OURS}/messages"),
    Case("add with browse only", 403, "reader", "POST", OURS, ADD),
    Case("pop with browse only", 403, "reader", "GET", f"{OURS}/pop"),
    Case("lease with browse only", 403, "reader", "POST", f"{OURS}/messages:lease", {}),
    Case("purge without manage", 403, "worker", "POST", f"{OURS}/messages:purge", {}),
    Case("delete without manage", 403, "worker", "DELETE", OURS),
    Case("delete what is not there", 403, "worker", "DELETE", f"/v1/queues/{UNKNOWN_ID}"),
    Case("pause without manage", 403, "worker", "POST", f"{OURS}/pause", {}),
    Case("update without manage", 403, "worker", "PATCH", OURS, {"limit": "1"}),
    Case("schedule without produce", 403, "team", "PUT", f"{OURS}/schedules/s", {"cron": "0 0 * * *"}),
    Case("complete that adds to another's", 403, "worker", "POST", "/v1/complete", {"adds": [{"queue_id": "secret", "messages": [ADD]}]}),
    Case("complete that acks another's", 403, "worker", "POST", "/v1/complete", {"acks": [{"queue_id": "secret", "lease_ids": ["x"]}]}),
    Case("redrive to another's", 403, "team", "POST", f"{OURS}/redrives", {"target_queue_id": "secret"}),
    Case("redrive that is not there", 403, "team", "GET", f"/v1/redrives/{UNKNOWN_ID}"),
    Case("dead letters to another's", 403, "team", "PATCH", OURS, {"settings": {"dead_letter_queue_id": "secret"}}),
    # Names and tags.
    Case("new queue outside of the name", 403, "team", "POST", "/v1/queues", {"name": "mine"}),
    Case("new queue of a name like it", 403, "worker", "POST", "/v1/queues", {"name": "billing.x"}),
    Case("new queue with others' tags", 403, "team", "POST", "/v1/queues", {"name": "n", "tags": [TAG]}),
    Case("tag that gives oneself more", 403, "manager", "POST", f"{OURS}/tag", TAG),
    Case("tag of another's queue", 403, "team", "POST", f"{SECRET}/tag", {"key": "team", "value": "billing"}),
    Case("no tag any more", 403, "worker", "DELETE", f"{OURS}/tag", {"key": "team", "value": "billing"}),
    Case("a quota of queues", 429, "root", "POST", "/v1/queues", {"name": "billing.q2", "store": "MEMORY"}),
    Case("a quota of messages", 429, "root", "POST", "/v1/queues/billing.qq/messages:batch", {"messages": [ADD, ADD]}),
    # Who there is, and tokens.
    Case("no token, identity", 401, "", "GET", "/v1/identity"),
    Case("no token, make one", 401, "", "POST", "/v1/identities/root/tokens", {}),
    Case("expired, make one", 401, "expired", "POST", "/v1/identities/expired/tokens", {}),
    Case("identities of others", 403, "manager", "GET", "/v1/identities"),
    Case("a token for oneself", 403, "manager", "POST", "/v1/identities/manager/tokens", {}),
    Case("a token of root", 403, "team", "POST", "/v1/identities/root/tokens", {}),
    Case("a token of nobody", 403, "worker", "POST", "/v1/identities/nobody/tokens", {}),
    Case("revoke another's", 403, "worker", "DELETE", "/v1/identities/root/tokens/{root:id}"),
    Case("revoke what is not there", 403, "worker", "DELETE", "/v1/identities/root/tokens/none"),
    Case("revoke by another's name", 400, "root", "DELETE", "/v1/identities/worker/tokens/{root:id}"),
    Case("a token that holds for ever and a day", 400, "root", "POST", "/v1/identities/worker/tokens", {"ttl": "315705600s"}),
    Case("a token that chooses its id", 400, "root", "POST", "/v1/identities/worker/tokens", {"token_id": "mine"}),
    # Tricks with paths: they are found nowhere, or lead to the same question.
    Case("dots", 404, "worker", "GET", "/v1/queues/billing.a/../secret/pop"),
    Case("encoded dots", 404, "worker", "GET", "/v1/queues/billing.a/%2e%2e/secret/pop"),
    Case("two slashes", 404, "worker", "GET", "//v1/queues/secret/pop"),
    Case("two slashes within", 404, "worker", "GET", "/v1/queues//secret/pop"),
    Case("an encoded slash", 403, "worker", "GET", "/v1/queues/billing.a%2f..%2fsecret/pop"),
    Case("encoded letters", 403, "worker", "GET", "/v1/queues/%73ecret/pop"),
    Case("twice encoded", 403, "worker", "GET", "/v1/queues/%2573ecret/pop"),
    Case("a slash at the end", 404, "worker", "GET", "/v1/queues/secret/pop/"),
    Case("capitals", 404, "worker", "GET", "/V1/queues/secret/pop"),
    Case("a name in capitals", 403, "worker", "GET", "/v1/queues/SECRET/pop"),
    Case("a zero byte", 403, "worker", "GET", "/v1/queues/billing.a%00secret/pop"),
    Case("not ASCII", 403, "worker", "GET", "/v1/queues/billing.%c3%a4/pop"),
    Case("a queue in the query as well", 400, "worker", "GET", f"{OURS}/pop?queue_id=secret"),
    Case("a queue in the body as well", 400, "worker", "POST", f"{OURS}/messages:lease", {"queue_id": "secret"}),
    Case("wrong verb", 405, "worker", "PUT", f"{OURS}/pop"),
    Case("wrong verb of nobody", 405, "", "PATCH", "/v1/queues"),
    Case("the metrics on the API's port", 404, "", "GET", "/metrics"),
    Case("quit on the API's port", 404, "root", "POST", "/quitquitquit"),
    # Too much of everything.
    Case("a long name", 403, "worker", "GET", f"/v1/queues/{'x' * 8_000}/pop"),
    Case("a long token", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer q_" + "x" * 8_000}),
    Case("a token larger than headers may be", 431, "", "GET", "/v1/queues", None, {"authorization": "Bearer q_" + "x" * 62_000}),
    Case("many tags", 403, "team", "POST", "/v1/queues", {"name": "n", "tags": [{"key": str(at), "value": ""} for at in range(60)]}),
    Case("a body that is none", 400, "", "POST", OURS, b"{"),
]  # fmt: skip


GRPC_CASES: Final = [
    ("no token", "/proto.Q/ListQueues", "", (), grpc.StatusCode.UNAUTHENTICATED),
    ("expired", "/proto.Q/ListQueues", "expired", (), grpc.StatusCode.UNAUTHENTICATED),
    ("not mine", "/proto.Q/Pop", "worker", (), grpc.StatusCode.PERMISSION_DENIED),
    ("not mine, forwarded", "/proto.Q/Pop", "worker", (("q-forwarded", "127.0.0.1:1"),), grpc.StatusCode.PERMISSION_DENIED),
    ("forwarded", "/proto.Q/Pop", "", (("q-forwarded", "127.0.0.1:1"),), grpc.StatusCode.UNAUTHENTICATED),
    ("certificate", "/proto.Q/Pop", "", (("x-forwarded-client-cert", 'Subject="CN=root"'),), grpc.StatusCode.UNAUTHENTICATED),
    ("JWT", "/proto.Q/Pop", "", (("x-q-jwt", "eyJpc3MiOiJpIn0"),), grpc.StatusCode.UNAUTHENTICATED),
    ("JWT beside a token", "/proto.Q/Pop", "idle", (("x-q-jwt", "eyJpc3MiOiJpIn0"),), grpc.StatusCode.PERMISSION_DENIED),
    ("another case of the service", "/Proto.Q/Pop", "", (), grpc.StatusCode.UNIMPLEMENTED),
    ("another case of the method", "/proto.Q/pop", "root", (), grpc.StatusCode.UNIMPLEMENTED),
    ("two slashes", "//proto.Q/Pop", "", (), grpc.StatusCode.UNIMPLEMENTED),
    ("a slash at the end", "/proto.Q/Pop/", "", (), grpc.StatusCode.UNIMPLEMENTED),
    ("a query", "/proto.Q/Pop?x=1", "", (), grpc.StatusCode.UNAUTHENTICATED),
    ("an encoded path", "/proto.Q/P%6fp", "", (), grpc.StatusCode.UNAUTHENTICATED),
    ("an unknown method", "/proto.Q/Nothing", "root", (), grpc.StatusCode.UNIMPLEMENTED),
]  # fmt: skip
