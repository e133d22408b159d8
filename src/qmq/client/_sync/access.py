# Generated from _async by scripts/unasync.py; change it there.
"""Who calls, who may, and tokens."""

from qmq.client._sync.connection import Connection
from qmq.client.access import caller_of, identity_of, make_token_request, new_token_of
from qmq.client.access_values import Caller, Identity, NewToken
from qmq.client.options import Duration
from qmq.wire import q_pb2 as pb


class Access:
    """What an Client has for those who look after who may call."""

    _connection: Connection

    def identity(self, queue_id: str = "") -> Caller:
        """Return who the client is to the server, and what it may do.

        Args:
            queue_id: the queue, by its id or name, of which `Caller.rights` tells; empty for
                every queue.
        """
        reply = self._connection.ask(
            "GetIdentity",
            pb.GetIdentityRequest(queue_id=queue_id),
            pb.GetIdentityResponse,
            repeatable=True,
        )
        return caller_of(reply)

    def identities(self) -> list[Identity]:
        """Return all who may call, what they may do, and which tokens they have.

        Raises:
            AccessDenied: the caller has not the right to admin every queue.
            AccessFixed: the server asks nobody who they are.
        """
        reply = self._connection.ask(
            "ListIdentities", pb.ListIdentitiesRequest(), pb.ListIdentitiesResponse, repeatable=True
        )
        return [identity_of(each) for each in reply.identities]

    def make_token(self, identity: str, *, ttl: Duration | None = None, note: str = "") -> NewToken:
        """Make a token for somebody whom the access file names. The server takes it on return.

        It is not repeated when its answer was lost: there may be a token then that nobody knows,
        which `identities` lists and `revoke_token` revokes.

        Args:
            identity: the name of one that there is.
            ttl: how many seconds it holds, 1 minute to 10 years; None: until it is revoked.
            note: what it is for, up to 200 bytes without control characters.

        Raises:
            IdentityNotFound: there is nobody of the name.
            InvalidArgument: the ttl or the note breaks a rule.
            AccessDenied: the caller has not the right to admin every queue.
            AccessFixed: there is no access file, or it cannot be changed; the message says what to
                do.
        """
        request = make_token_request(identity, ttl, note)
        return new_token_of(self._connection.ask("MakeToken", request, pb.MakeTokenResponse))

    def revoke_token(self, identity: str, token_id: str) -> None:
        """Revoke a token; one that is gone already is as good.

        From the return on the server refuses it, and what was open by it has ended.

        Args:
            identity: whose it is.
            token_id: the part of its text after `q_`.

        Raises:
            LastAdmin: nobody could show any more that it may admin every queue.
            InvalidArgument: it is somebody else's.
            AccessDenied: the caller has not the right to admin every queue.
            AccessFixed: there is no access file, or it cannot be changed; the message says what to
                do.
        """
        request = pb.RevokeTokenRequest(identity=identity, token_id=token_id)
        self._connection.ask("RevokeToken", request, pb.RevokeTokenResponse, repeatable=True)
