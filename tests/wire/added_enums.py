"""The enums that q has added to the contract of the original, by their full names."""

ADDED_ENUMS = {
    "proto.Right.Kind": {
        "UNKNOWN": 0,
        "PRODUCE": 1,
        "CONSUME": 2,
        "BROWSE": 3,
        "MANAGE": 4,
        "ADMIN": 5,
    },
    "proto.Attempt.Outcome": {
        "UNKNOWN": 0,
        "RELEASED": 1,
        "FAILED": 2,
        "REJECTED": 3,
        "EXPIRED": 4,
    },
    "proto.DeadLetter.Reason": {
        "UNKNOWN": 0,
        "REJECTED": 1,
        "DELIVERY_COUNT_MAX": 2,
        "EXPIRED": 3,
        "OVERFLOW": 4,
        "SKIPPED": 5,
    },
    "proto.Overflow.Policy": {
        "UNKNOWN": 0,
        "REJECT": 1,
        "DROP_OLDEST": 2,
        "DEAD_LETTER_OLDEST": 3,
    },
    "proto.Durability.Level": {"UNKNOWN": 0, "MEMORY": 1, "OS": 2, "FSYNC": 3, "REPLICATED": 4},
    "proto.NackRequest.Kind": {"UNKNOWN": 0, "RELEASE": 1, "FAIL": 2, "REJECT": 3},
    "proto.BrowseRequest.State": {"UNKNOWN": 0, "READY": 1, "LEASED": 2, "DELAYED": 3},
    "proto.Group.State": {
        "UNKNOWN": 0,
        "READY": 1,
        "LEASED": 2,
        "DELAYED": 3,
        "PAUSED": 4,
        "PARKED": 5,
    },
    "proto.Redrive.State": {"UNKNOWN": 0, "RUNNING": 1, "DONE": 2, "STOPPED": 3, "GAVE_UP": 4},
    "proto.Schedule.Missed": {"UNKNOWN": 0, "SKIP": 1, "ONE": 2, "ALL": 3},
    "proto.Server.Role": {"UNKNOWN": 0, "ALONE": 1, "LEADER": 2, "FOLLOWER": 3},
    "proto.ServerWarning.Level": {"UNKNOWN": 0, "NOTE": 1, "WARNING": 2, "CRITICAL": 3},
}
