/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What happens in a conversation. A signal is only a hint that there is something to fetch: what is
 * shown comes from ListEvents, from a cursor that was taken before the first page of messages, so
 * that nothing is left out or shown twice, over restarts of the service as well.
 *
 * Messages of one's own that another program sent are in no event when they are sent; that there is
 * more in the outbox, or a change of their state, leads to them.
 */

#include "cli/chat.h"

#include <stdio.h>
#include <strings.h>

#include "cli/event.h"

#define PAGE_MAX 250
#define SUFFIX_LENGTH 4
#define MESSAGES_MAX 50

/* A service that is there and did not answer is asked again after this. */
#define RETRY (2 * USEC_PER_SEC)

/* Messages that were shown */

bool chat_has_seen(const Chat *chat, const char *id) {
        size_t n = MIN(chat->n_seen, (size_t)SEEN_MAX);

        for (size_t i = 0; i < n; i++)
                if (streq(chat->seen[i], id))
                        return true;
        return false;
}

void chat_see(Chat *chat, const char *id) {
        snprintf(chat->seen[chat->n_seen++ % SEEN_MAX], UUID_TEXT_SIZE, "%s", id);
}

static bool is_own(const Chat *chat, const Value *m) {
        return streq(value_string(m, "from-account"), chat->own_account);
}

static void take_message(Chat *chat, const Value *m) {
        const char *id = value_string(m, "id");

        if (chat_has_seen(chat, id))
                return;
        chat_see(chat, id);
        show_message(chat, m);
        if (chat->mode == CHAT_TERMINAL && !is_own(chat, m))
                snprintf(chat->unread, sizeof(chat->unread), "%s", id);
}

/* The last page, at the beginning and where events are missing. */

static void take_page(Chat *chat, const Value *page) {
        for (size_t i = 0; page->type == VALUE_LIST && i < page->n_items; i++)
                if (!value_get(page->items[i], "more"))
                        take_message(chat, page->items[i]);
}

static Call page_call(const Chat *chat, uint32_t limit) {
        return (Call){"ListMessages", {chat->with}, {{"limit", .number = limit}}, .attached = true};
}

/* What is not on the page is too old to be shown, and not looked for again. */
static void on_messages(
        void *userdata, int status, const CallFailure *failure, const Value *answer) {
        Chat *chat = userdata;

        if (status > 0 || !answer)
                return;
        take_page(chat, answer);
        for (; chat->n_unknown > 0; chat->n_unknown--)
                if (!chat_has_seen(chat, chat->unknown[chat->n_unknown - 1]))
                        chat_see(chat, chat->unknown[chat->n_unknown - 1]);
}

static void look_for(Chat *chat, const char *id) {
        if (chat->n_unknown == UNKNOWN_MAX) {
                chat_see(chat, id);
                return;
        }
        snprintf(chat->unknown[chat->n_unknown++], UUID_TEXT_SIZE, "%s", id);
        chat->refresh = true;
}

/* Who it is */

static void replace(char **s, const char *with) {
        char *copy = strdup(with);

        if (copy) {
                free(*s);
                *s = copy;
        }
}

static void take_peer(Chat *chat, const Value *peer) {
        replace(&chat->name, value_string(peer, "name"));
        replace(&chat->account, value_string(peer, "account"));
        replace(&chat->presence, value_string(peer, "presence"));
        show_prompt(chat);
}

/* Who is removed from a room may have another one of that name: what is said goes on being for the
 * one that is on the screen. */
static void make_exact(Chat *chat) {
        char *exact;

        if (*chat->room_id == '\0' ||
                asprintf(&exact, "%.*s~%.*s", (int)strcspn(chat->name, "~"), chat->name,
                        SUFFIX_LENGTH, chat->room_id) < 0)
                return;
        free(chat->exact);
        chat->with = chat->exact = exact;
}

static void take_room(Chat *chat, const Value *room) {
        const char *topic = value_string(room, "topic"), *problem = value_string(room, "problem");
        const char *status = value_string(room, "status");
        uint64_t members = value_number(room, "members");

        replace(&chat->name, value_string(room, "room"));
        replace(&chat->room_id, value_string(room, "room-id"));
        make_exact(chat);
        show_prompt(chat);
        if (chat->known || chat->mode != CHAT_TERMINAL)
                return;
        if (members > 0) /* else nobody has told */
                show_note(chat, "%s%s%llu member%s, %llu online", topic, *topic ? "; " : "",
                        (unsigned long long)members, PLURAL(members),
                        (unsigned long long)value_number(room, "online"));
        else if (*topic)
                show_note(chat, "%s", topic);
        if (*problem && !streq(status, "left"))
                show_note(chat, "%s", problem);
        else if (streq(status, "invited"))
                show_note(chat, "you are invited to %s; /join accepts", chat->name);
        else if (streq(status, "joining"))
                show_note(chat, "no member of %s has answered so far; it goes on being tried",
                        chat->name);
        else if (!value_bool(room, "joined"))
                show_note(chat, "you are no member of %s; /join makes you one", chat->name);
}

static Call who_call(const Chat *chat) {
        if (chat->room)
                return (Call){"ListRooms", {},
                        {{"words", .string = chat->words}, {"all", .boolean = true}},
                        .attached = true};
        return (Call){"ListPeers", {}, {{"name", .string = chat->with}, {"all", .boolean = true}},
                .attached = true};
}

/* "#name~XXXX" is the room of this name whose id begins so. */
static bool is_this_room(const Chat *chat, const Value *room) {
        const char *name = value_string(room, "room"), *tilde = strchr(chat->with, '~');
        size_t n = tilde ? (size_t)(tilde - chat->with) : 0;

        if (strcasecmp(name, chat->with) == 0)
                return true;
        return tilde && strncasecmp(name, chat->with, n) == 0 && name[n] == '\0' &&
                strncasecmp(value_string(room, "room-id"), tilde + 1, strlen(tilde + 1)) == 0;
}

static bool is_this_peer(const Chat *chat, const Value *peer) {
        if (chat->with[0] == '@')
                return strcasecmp(value_string(peer, "account"), chat->with + 1) == 0;
        return strcasecmp(value_string(peer, "name"), chat->with) == 0 ||
                strcasecmp(value_string(peer, "claimed-name"), chat->with) == 0;
}

/* A service that does not know the option `name` answers with everybody; one that does knows names
 * that this does not. */
const Value *chat_find(const Chat *chat, const Value *list) {
        bool (*is_this)(const Chat *chat, const Value *v) =
                chat->room ? is_this_room : is_this_peer;

        if (list->type != VALUE_LIST)
                return NULL;
        for (size_t i = 0; i < list->n_items; i++)
                if (is_this(chat, list->items[i]))
                        return list->items[i];
        return !chat->room && list->n_items == 1 && *value_string(list->items[0], "account")
                ? list->items[0]
                : NULL;
}

/* Events are taken once it is known whose they have to be. */
static void on_who(void *userdata, int status, const CallFailure *failure, const Value *answer) {
        const Value *found;
        Chat *chat = userdata;

        if (status == STATUS_UNREACHABLE) {
                chat->resolve = true;
                chat->retry_at = usec_add(usec_monotonic(), RETRY);
                return;
        }
        found = status == 0 && answer ? chat_find(chat, answer) : NULL;
        if (found && chat->room)
                take_room(chat, found);
        else if (found)
                take_peer(chat, found);
        else if (!chat->known && chat->mode == CHAT_TERMINAL)
                show_note(chat,
                        chat->room ? "no room called %s is known here; /join looks for it"
                                   : "nobody of this name is known here yet; the first message "
                                     "looks for %s",
                        chat->with);
        chat->known = true;
}

/* Who writes */

static Typing *typing_find(Chat *chat, const char *account) {
        for (size_t i = 0; i < chat->n_typing; i++)
                if (streq(chat->typing[i].account, account))
                        return &chat->typing[i];
        return NULL;
}

static void typing_set(Chat *chat, const char *account, const char *name, bool on) {
        Typing *t = typing_find(chat, account);

        if (on && !t && chat->n_typing < TYPING_MAX) {
                t = &chat->typing[chat->n_typing++];
                snprintf(t->account, sizeof(t->account), "%s", account);
                snprintf(t->name, sizeof(t->name), "%s", name);
        } else if (!on && t)
                *t = chat->typing[--chat->n_typing];
        else
                return;
        show_prompt(chat);
}

/* Events */

/* Whether a member of this event is who, or what, the conversation is with. */
static bool is_with(const Chat *chat, const Value *event, const char *key) {
        const char *account = value_string(event, "account"), *room = value_string(event, "room");
        const char *room_id = value_string(event, "room-id");

        if (chat->room && *chat->room_id && *room_id)
                return streq(room_id, chat->room_id);
        if (chat->room)
                return strcasecmp(*room ? room : value_string(event, "to"), chat->name) == 0;
        if (*room || value_string(event, "to")[0] == '#')
                return false;
        if (*chat->account)
                return streq(account, chat->account);
        return strcasecmp(value_string(event, key), chat->name) == 0;
}

static void take_received(Chat *chat, const Value *event) {
        if (!is_with(chat, event, "from"))
                return;
        chat->resolve = chat->resolve || (!chat->room && *chat->account == '\0');
        typing_set(chat, value_string(event, "account"), "", false);
        if (chat->mode == CHAT_JSON)
                show_event(chat, event);
        else
                take_message(chat, event);
}

static void take_state(Chat *chat, const Value *event) {
        const char *id = value_string(event, "id");

        if (!is_with(chat, event, "to"))
                return;
        /* What of others was read here. */
        if (streq(value_string(event, "to"), chat->own_name))
                return;
        if (chat->mode == CHAT_TERMINAL && !chat_has_seen(chat, id))
                look_for(chat, id);
        show_state(chat, id, event);
}

static void take_peer_changed(Chat *chat, const Value *event) {
        if (chat->room || !is_with(chat, event, "name"))
                return;
        if (chat->mode != CHAT_TERMINAL || value_get(event, "key-changed") ||
                !streq(chat->presence, value_string(event, "presence")))
                show_event(chat, event);
        replace(&chat->presence, value_string(event, "presence"));
        replace(&chat->name, value_string(event, "name"));
        show_prompt(chat);
}

static void take_event(Chat *chat, const Value *event) {
        const char *kind = value_string(event, "event");

        if (streq(kind, "MessageReceived"))
                take_received(chat, event);
        else if (streq(kind, "MessageStateChanged"))
                take_state(chat, event);
        else if (streq(kind, "PeerChanged"))
                take_peer_changed(chat, event);
        else if (streq(kind, "RoomChanged")) {
                if (chat->room && is_with(chat, event, "room"))
                        show_event(chat, event);
        } else if (streq(kind, "SessionReplaced"))
                show_event(chat, event);
        else if (streq(kind, "Gap")) {
                show_event(chat, event);
                chat->refresh = chat->mode == CHAT_TERMINAL;
        }
}

static void on_events(void *userdata, int status, const CallFailure *failure, const Value *answer) {
        const Value *events;
        Chat *chat = userdata;

        if (status == STATUS_UNREACHABLE) {
                chat->fetch = true;
                chat->retry_at = usec_add(usec_monotonic(), RETRY);
                return;
        }
        if (status > 0) {
                show_note(chat, "%s: %s", failure->name, failure->text ?: "");
                return;
        }
        if (!answer || answer->n_items < 2 || answer->items[0]->type != VALUE_LIST ||
                answer->items[1]->type != VALUE_U64)
                return;
        events = answer->items[0];
        for (size_t i = 0; i < events->n_items; i++)
                take_event(chat, events->items[i]);
        /* The next page, until there is none. */
        chat->fetch = chat->fetch || answer->items[1]->number != chat->cursor;
        chat->cursor = answer->items[1]->number;
}

static Call events_call(uint64_t cursor) {
        return (Call){.method = "ListEvents",
                .numbers = {{'t', cursor}, {'u', PAGE_MAX}},
                .attached = true,
                .all = true};
}

/* As long as his account is not known here, by the name that he is called by. */
static bool is_other(const Chat *chat, const char *account, const char *name) {
        return chat->account[0] ? streq(account, chat->account) : strcasecmp(name, chat->with) == 0;
}

static void take_typing(Chat *chat, const Value *args, const Value *details) {
        const char *room = value_string(details, "room"),
                   *account = value_string(details, "account");
        _cleanup_(event_freep) SignalEvent *e = NULL;

        if (chat->room ? !is_with(chat, details, "room")
                       : *room != '\0' || !is_other(chat, account, args->items[0]->string))
                return;
        typing_set(chat, account, args->items[0]->string, args->items[1]->boolean);
        if (chat->mode == CHAT_JSON) {
                e = event_from_signal("TypingChanged", args);
                if (e)
                        show_event(chat, event_value(e));
        }
}

static void on_signal(const Value *args, void *userdata) {
        const Value *details = args->n_items > 0 ? args->items[args->n_items - 1] : NULL;
        Chat *chat = userdata;

        if (value_number(details, "cursor") > chat->cursor ||
                streq(chat->signals.member, "SessionReplaced"))
                chat->fetch = true;
        if (streq(chat->signals.member, "TypingChanged") && args->n_items >= 3 &&
                args->items[0]->type == VALUE_STRING && args->items[1]->type == VALUE_BOOL)
                take_typing(chat, args, details);
}

/* (interface, {name: value}, names) */
static void on_properties_changed(const Value *args, void *userdata) {
        Chat *chat = userdata;

        if (args->n_items >= 2 && value_get(args->items[1], "Queued"))
                chat->refresh = true;
}

static void on_owner_changed(const Value *args, void *userdata) {
        Chat *chat = userdata;

        chat->present = args->items[0]->boolean;
        chat->retry_at = chat->send_at = 0;
        if (chat->present) {
                chat->fetch = true;
                chat->resolve = true;
                chat->refresh = chat->mode == CHAT_TERMINAL;
                if (chat->told_gone)
                        show_note(chat, "p2pchatd is back");
                chat->told_gone = false;
                return;
        }
        if (!chat->told_gone)
                show_note(chat, "p2pchatd stopped; waiting until it is back");
        chat->told_gone = true;
        chat->wrote = false;
        chat->n_typing = 0;
        show_prompt(chat);
}

void chat_pump(Chat *chat, usec_t *ret_deadline) {
        const Call call = events_call(chat->cursor);
        usec_t now = usec_monotonic();

        *ret_deadline = USEC_INFINITY;
        if (!chat->present)
                return;
        if (chat->fetch && chat->known && !chat->events.slot) {
                if (now >= chat->retry_at) {
                        chat->fetch = false;
                        call_begin(chat->c, &call, &chat->events);
                } else
                        *ret_deadline = chat->retry_at;
        }
        if (chat->refresh && !chat->messages.slot) {
                const Call page = page_call(chat, MESSAGES_MAX);

                chat->refresh = false;
                call_begin(chat->c, &page, &chat->messages);
        }
        if (chat->resolve && !chat->who.slot) {
                const Call who = who_call(chat);

                if (now >= chat->retry_at) {
                        chat->resolve = false;
                        call_begin(chat->c, &who, &chat->who);
                } else
                        *ret_deadline = chat->retry_at;
        }
        chat_talk_pump(chat, ret_deadline);
}

/* Beginning and end */

/* Starts the service where it does not run. */
static int find_self(Chat *chat) {
        _cleanup_(value_freep) Value *status = NULL;
        int r;

        r = call_value(chat->c, &(Call){.method = "Status"}, &status);
        if (r > 0)
                return r;
        if (streq(value_string(status, "state"), "logged-out"))
                return chatc_fail(STATUS_NOT_LOGGED_IN, "NotLoggedIn",
                        "no account is logged in; see 'chatc help register'.");
        replace(&chat->own_name, value_string(status, "name"));
        replace(&chat->own_account, value_string(status, "account"));
        return 0;
}

static int find_end(Chat *chat) {
        Call call = events_call(UINT64_MAX);
        _cleanup_(value_freep) Value *answer = NULL;
        int r;

        call.attached = false;
        r = call_value(chat->c, &call, &answer);
        if (r > 0)
                return r;
        if (answer->n_items < 2 || answer->items[1]->type != VALUE_U64)
                return chatc_fail(STATUS_ERROR, "BadAnswer",
                        "p2pchatd answered without a list and a cursor.");
        chat->cursor = answer->items[1]->number;
        return 0;
}

typedef struct Unread {
        const Chat *chat;
        uint64_t n;
} Unread;

static int on_conversation(Chatc *c, const Value *conversation, void *userdata) {
        Unread *u = userdata;
        const char *with = u->chat->with;

        if (strcasecmp(value_string(conversation, "with"), with) != 0 &&
                (with[0] != '@' ||
                        strcasecmp(value_string(conversation, "account"), with + 1) != 0))
                return 0;
        u->n = value_number(conversation, "unread");
        return 1;
}

/* What is marked as read is to have been shown, however much it is. */
static uint64_t count_unread(Chat *chat) {
        Unread u = {.chat = chat};

        (void)call_list(chat->c, &(Call){.method = "ListConversations", .quiet = true}, "with",
                on_conversation, &u);
        return u.n;
}

static int subscribe(Chat *chat) {
        int r;

        chat->signals = (SignalHandler){.fn = on_signal, .userdata = chat};
        chat->owner = (SignalHandler){.fn = on_owner_changed, .userdata = chat};
        chat->properties = (SignalHandler){.fn = on_properties_changed, .userdata = chat};
        r = signal_subscribe(chat->c, NULL, &chat->signals);
        if (r == 0 && chat->mode == CHAT_TERMINAL)
                r = signal_subscribe_properties(chat->c, &chat->properties);
        return r > 0 ? r : signal_subscribe_owner(chat->c, &chat->owner);
}

int chat_start(Chat *chat, Value **ret_page) {
        uint64_t unread = 0;
        Call page;
        int r;

        chat->events = (AsyncCall){.fn = on_events, .userdata = chat};
        chat->messages = (AsyncCall){.fn = on_messages, .userdata = chat};
        chat->who = (AsyncCall){.fn = on_who, .userdata = chat};
        chat_talk_start(chat);
        chat->seen = calloc(SEEN_MAX, sizeof(*chat->seen));
        chat->name = strdup(chat->with);
        chat->account = strdup(chat->with[0] == '@' ? chat->with + 1 : "");
        chat->room_id = strdup("");
        chat->words = strdup(chat->room ? chat->with + 1 : "");
        chat->presence = strdup("");
        chat->own_name = strdup("");
        chat->own_account = strdup("");
        if (!chat->seen || !chat->name || !chat->account || !chat->room_id || !chat->words ||
                !chat->presence || !chat->own_name || !chat->own_account)
                return chatc_out_of_memory();
        chat->words[strcspn(chat->words, "~")] = '\0';

        r = find_self(chat);
        if (r == 0)
                r = subscribe(chat);
        if (r == 0)
                r = find_end(chat);
        if (r > 0)
                return r;
        if (chat->mode == CHAT_TERMINAL)
                unread = count_unread(chat);
        page = page_call(chat, (uint32_t)CLAMP(unread, (uint64_t)MESSAGES_MAX, UINT64_C(1000)));
        page.attached = false;
        r = call_value(chat->c, &page, ret_page);
        if (r > 0)
                return r;
        chat->present = chat->fetch = chat->resolve = true;
        return 0;
}

void chat_show_page(Chat *chat, const Value *page) {
        take_page(chat, page);
}

void chat_done(Chat *chat) {
        signal_done(&chat->signals);
        signal_done(&chat->owner);
        signal_done(&chat->properties);
        call_abandon(&chat->events);
        call_abandon(&chat->messages);
        call_abandon(&chat->who);
        chat_talk_done(chat);
        free(chat->seen);
        free(chat->name);
        free(chat->account);
        free(chat->room_id);
        free(chat->words);
        free(chat->exact);
        free(chat->presence);
        free(chat->own_name);
        free(chat->own_account);
}
