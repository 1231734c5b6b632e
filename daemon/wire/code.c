/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/code.h"

static const char *const NAMES[_CODE_MAX] = {
        [CODE_OK] = "OK",
        [CODE_NOT_LOGGED_IN] = "NotLoggedIn",
        [CODE_ACCOUNT_EXISTS] = "AccountExists",
        [CODE_REPLACED] = "Replaced",
        [CODE_NAME_TAKEN] = "NameTaken",
        [CODE_BAD_NAME] = "BadName",
        [CODE_BAD_PASSWORD] = "BadPassword",
        [CODE_RATE_LIMITED] = "RateLimited",
        [CODE_UNKNOWN_PEER] = "UnknownPeer",
        [CODE_AMBIGUOUS_NAME] = "AmbiguousName",
        [CODE_KEY_CHANGED] = "KeyChanged",
        [CODE_BLOCKED] = "Blocked",
        [CODE_UNKNOWN_ROOM] = "UnknownRoom",
        [CODE_ROOM_EXISTS] = "RoomExists",
        [CODE_NOT_MEMBER] = "NotMember",
        [CODE_NOT_OWNER] = "NotOwner",
        [CODE_NOT_ALLOWED] = "NotAllowed",
        [CODE_NOT_INVITED] = "NotInvited",
        [CODE_TOO_LONG] = "TooLong",
        [CODE_TOO_MANY] = "TooMany",
        [CODE_INVALID_ARGS] = "InvalidArgs",
        [CODE_STORAGE] = "Storage",
        [CODE_NEWER_VERSION] = "NewerVersion",
        [CODE_TRACKER_UNREACHABLE] = "TrackerUnreachable",
        [CODE_TIMEOUT] = "Timeout",
        [CODE_NOT_SUPPORTED] = "NotSupported",
        [CODE_EXPIRED] = "expired",
        [CODE_PEER_STORAGE] = "storage",
        [CODE_FORK] = "fork",
        [CODE_UNSUPPORTED] = "unsupported",
        [CODE_CANCELLED] = "cancelled",
};

const char *code_name(Code c) {
        return c >= 0 && c < _CODE_MAX ? NAMES[c] : "unknown";
}

Code code_from_name(const char *name, size_t n) {
        for (Code c = 0; c < _CODE_MAX; c++)
                if (strlen(NAMES[c]) == n && memcmp(NAMES[c], name, n) == 0)
                        return c;
        return _CODE_MAX;
}

Code code_of_refusal(const char *name, size_t n) {
        Code c = code_from_name(name, n);

        return c == CODE_OK ? _CODE_MAX : c;
}
