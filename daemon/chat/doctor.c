/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What works and what does not, hop by hop, from what is known already: nothing is tried. */

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "chat/room.h"
#include "util/fs.h"

#define MIB ((uint64_t)1 << 20)

/* Less free room on the disk than this is worth a word. */
#define DISK_FREE_LOW (64 * MIB)

/* Soon messages will be refused (STORE_PERCENT_MAIL). */
#define USED_WARNING_PERCENT 80

/* 2026-01-01: this program was written later, so a clock that is before it is wrong. */
#define CLOCK_EARLIEST (UINT64_C(1767225600) * USEC_PER_SEC)

/* Clocks that differ by less are the same: what was said took its time to come here. */
#define CLOCK_TOLERANCE USEC_PER_MINUTE

/* Recipients that are looked at for the oldest message. */
#define RECIPIENTS_MAX 10000

/* Rooms that are named; of more there is only told how many. */
#define ROOMS_NAMED_MAX 16

typedef struct Doctor {
        Chat *chat;
        bool active;
        ChatCheckFn fn;
        void *userdata;
} Doctor;

static void say(const Doctor *d, const char *check, const char *state, const char *advice,
        const char *format, ...) _printf_(5, 6);

static void say(const Doctor *d, const char *check, const char *state, const char *advice,
        const char *format, ...) {
        char text[CHAT_CHECK_TEXT_SIZE];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        d->fn(d->userdata,
                &(ChatCheck){.check = check,
                        .state = state,
                        .text = text_clean(text),
                        .advice = advice});
}

/* Of what nobody has who is not active. */
static void say_off(const Doctor *d, const char *check, const char *text) {
        say(d, check, "off", NULL, "%s",
                account_is_replaced(d->chat->parts.account)
                        ? "That is done by the device that uses the account now."
                        : text);
}

static void check_account(const Doctor *d) {
        const Chat *c = d->chat;
        char advice[CHAT_CHECK_TEXT_SIZE];

        if (d->active && c->name_problem[0])
                say(d, "account", "failed",
                        "Others cannot find this account by its name there: choose another tracker "
                        "or another name.",
                        "%s", c->name_problem);
        else if (d->active)
                say(d, "account", "ok", NULL, "%s is logged in on this device%s.",
                        chat_self(c)->name,
                        account_is_lan_only(c->parts.account) ? ", for the LAN alone" : "");
        else if (account_is_replaced(c->parts.account)) {
                snprintf(advice, sizeof(advice), "chatc login %s moves it back.",
                        chat_self(c)->name);
                say(d, "account", "warning", advice,
                        "%s is used on another device now; what is here can be read.",
                        chat_self(c)->name);
        } else if (account_exists(c->parts.account)) {
                snprintf(advice, sizeof(advice), "chatc login %s", chat_self(c)->name);
                say(d, "account", "warning", advice, "Nobody is logged in.");
        } else
                say(d, "account", "warning", "chatc register NAME --no-password",
                        "There is no account on this device.");
}

static void check_configuration(const Doctor *d) {
        const char *problem = d->chat->set_problem[CHAT_PROBLEM_CONFIG];

        if (problem[0])
                say(d, "configuration", "failed",
                        "Correct it (/usr/libexec/p2pchatd --check-config) and reload: "
                        "systemctl --user reload p2pchatd.",
                        "%s", problem);
        else
                say(d, "configuration", "ok", NULL, "The configuration was read and holds.");
}

static void check_store(const Doctor *d, const StoreHealth *h) {
        double seconds = (double)h->slowest_commit / (double)USEC_PER_SEC;

        if (h->damaged)
                say(d, "store", "failed",
                        "Stop p2pchatd, and restore its state directory from a backup or move it "
                        "away.",
                        "The store is damaged.");
        else if (h->open_error < 0)
                say(d, "store", "failed",
                        "Look at the journal of the kernel; p2pchatd tries again by itself.",
                        "The store cannot be opened: %s.", strerror(-h->open_error));
        else if (h->full)
                say(d, "store", "failed", "Make room on the disk.",
                        "Nothing new is kept, because there is no room.");
        else if (h->last_error < 0 && h->last_error != -ENOSPC)
                say(d, "store", "failed",
                        "Look at the journal of p2pchatd and of the kernel; save a copy of the "
                        "state directory.",
                        "The last write failed: %s.", strerror(-h->last_error));
        else if (h->slowest_commit > DB_COMMIT_SLOW)
                say(d, "store", "warning",
                        "Find out what else keeps the disk busy, or whether it is failing.",
                        "The store works, but its slowest commit took %.1f s.", seconds);
        else
                say(d, "store", "ok", NULL, "The store is open; its slowest commit took %.3f s.",
                        seconds);
}

static void check_disk(const Doctor *d, const StoreHealth *h) {
        const char *reserve = h->reserve ? "the reserve for receipts and deletions is held"
                                         : "no reserve is held";
        unsigned percent = h->limit ? (unsigned)(h->used * 100 / h->limit) : 0;
        uint64_t free = h->free / MIB, used = h->used / MIB, limit = h->limit / MIB;

        if (h->full)
                say(d, "disk", "failed",
                        "Make room on the file system of the state directory; no restart is "
                        "needed.",
                        "The disk is full: %llu MiB are free.", (unsigned long long)free);
        else if (percent >= STORE_PERCENT_MAIL)
                say(d, "disk", "failed", "Raise storage.max-size in p2pchatd.conf and reload.",
                        "%llu of at most %llu MiB are used: %s.", (unsigned long long)used,
                        (unsigned long long)limit,
                        percent >= STORE_PERCENT_OWN ? "no message is taken in or accepted"
                                                     : "messages from others are refused");
        else if (h->free < DISK_FREE_LOW)
                say(d, "disk", "warning", "Make room before it is full.",
                        "Only %llu MiB are free on the disk; %s.", (unsigned long long)free,
                        reserve);
        else if (percent >= USED_WARNING_PERCENT)
                say(d, "disk", "warning", "Raise storage.max-size in p2pchatd.conf and reload.",
                        "%llu of at most %llu MiB are used.", (unsigned long long)used,
                        (unsigned long long)limit);
        else
                say(d, "disk", "ok", NULL,
                        "%llu MiB are free, %llu of at most %llu MiB are used; %s.",
                        (unsigned long long)free, (unsigned long long)used,
                        (unsigned long long)limit, reserve);
}

static usec_t certificate_issued(const Chat *c) {
        Certificate cert;

        if (certificate_decode(buffer_bytes(&chat_self(c)->certificate), &cert) < 0)
                return 0;
        return cert.issued;
}

static void check_clock(const Doctor *d) {
        static const char advice[] = "Set the clock: timedatectl set-ntp true.";
        const Chat *c = d->chat;
        usec_t now = loop_realtime(c->parts.loop), there = 0;
        bool known = d->active && directory_get_time(c->parts.directory, &there);
        char text[TIME_TEXT_SIZE];

        usec_format(now, text);
        if (now < CLOCK_EARLIEST)
                say(d, "clock", "failed", advice, "It is %s here: before this program was written.",
                        text);
        else if (usec_add(now, CLOCK_TOLERANCE) < certificate_issued(c))
                say(d, "clock", "failed", advice,
                        "It is %s here: before this account's certificate was issued.", text);
        else if (known && usec_sub(now, there) > CLOCK_TOLERANCE)
                say(d, "clock", "warning", advice,
                        "This clock (%s) is %llu s ahead of the tracker's.", text,
                        (unsigned long long)(usec_sub(now, there) / USEC_PER_SEC));
        else if (known && usec_sub(there, now) > CLOCK_TOLERANCE)
                say(d, "clock", "warning", advice,
                        "This clock (%s) is %llu s behind the tracker's.", text,
                        (unsigned long long)(usec_sub(there, now) / USEC_PER_SEC));
        else
                say(d, "clock", "ok", NULL, "It is %s, %s.", text,
                        known ? "as at the tracker"
                              : "which is plausible; nothing to compare with");
}

/* Bits of the mode that others have on DIR/NAME, or a negative errno. */
static int others_may(const char *dir, const char *name) {
        _cleanup_(freep) char *path = fs_join(dir, name);
        struct stat st;

        if (!path)
                return -ENOMEM;
        return stat(path, &st) < 0 ? -errno : (int)(st.st_mode & 0077);
}

static const char *sealed_with(Keeping k) {
        switch (k) {
        case KEEPING_CREDENTIAL:
                return "a credential that systemd gives";
        case KEEPING_SECRET_SERVICE:
                return "a key in the Secret Service";
        default:
                return "the key in the file \"key\" beside it, which only this user may read (mode "
                       "0600)";
        }
}

static void check_key(const Doctor *d) {
        Keeping k = store_keeping(d->chat->parts.store);
        const char *dir = d->chat->parts.state_dir;
        char advice[CHAT_CHECK_TEXT_SIZE];
        int file = others_may(dir, "db/data.mdb"), above = others_may(dir, "db");
        int key = k == KEEPING_FILE ? others_may(dir, "key") : 0, worst = MIN(file, above);

        snprintf(advice, sizeof(advice), "chmod 700 %s/db; chmod 600 %s/db/data.mdb%s%s%s", dir,
                dir, key > 0 ? " " : "", key > 0 ? dir : "", key > 0 ? "/key" : "");
        if (file < 0 || above < 0 || key < 0)
                say(d, "key", "failed", "Look at the state directory.",
                        "The file with the keys of this account cannot be looked at: %s.",
                        strerror(-MIN(key, worst)));
        else if (file > 0 || above > 0 || key > 0)
                say(d, "key", "warning", advice,
                        "The keys of this account are in %s%s, which others may read.", dir,
                        key > 0 ? "" : "/db");
        else if (k == KEEPING_NONE)
                say(d, "key", "ok", NULL,
                        "The keys of this account are in %s/db without encryption, in a file that "
                        "only this user may read (mode 0600).",
                        dir);
        else
                say(d, "key", "ok", NULL, "The keys of this account are in %s/db, sealed with %s.",
                        dir, sealed_with(k));
}

static void check_tracker(const Doctor *d, const ChatTracker *t) {
        if (streq(t->state, "connected"))
                say(d, "trackers", "ok", NULL, "%s: connected.", t->address);
        else if (streq(t->state, "connecting"))
                say(d, "trackers", "warning", NULL, "%s: connecting.", t->address);
        else if (streq(t->state, "refused"))
                say(d, "trackers", "failed",
                        "Ask who runs the tracker for its address, as p2pchat-tracker "
                        "--print-address says it.",
                        "%s: refused, %s.", t->address, t->error);
        else
                say(d, "trackers", "failed",
                        "Look whether p2pchat-tracker runs there, and whether a firewall or the "
                        "name server is in the way; it is tried again by itself.",
                        "%s: unreachable, %s.", t->address,
                        t->error[0] ? t->error : "not tried so far");
}

static void check_trackers(const Doctor *d, const ChatStatus *s) {
        if (!d->active)
                say_off(d, "trackers", "Without an account no tracker is asked.");
        else if (s->lan_only)
                say(d, "trackers", "off",
                        "chatc register NAME --tracker host:port#key publishes the account there.",
                        "This account is for the LAN alone: no tracker is asked.");
        else if (s->n_trackers == 0)
                say(d, "trackers", "warning",
                        "Name one in p2pchatd.conf: trackers = ( \"host:port#key\" );",
                        "No tracker is known: nobody new can be found, and nobody finds you.");
        for (size_t i = 0; d->active && i < s->n_trackers; i++)
                check_tracker(d, &s->trackers[i]);
        for (size_t i = 0; d->active && s->found_trackers[i]; i++)
                say(d, "trackers", "off",
                        "To use it, name it in p2pchatd.conf, or publish an account for the LAN "
                        "there: chatc register NAME --tracker ADDRESS. Ask who runs it first.",
                        "%s: found on this network, not used.", s->found_trackers[i]);
}

static void check_links(const Doctor *d, const ChatStatus *s) {
        const Chat *c = d->chat;
        const Endpoints *e = account_endpoints(c->parts.account);
        char where[CHAT_CHECK_TEXT_SIZE / 2] = "";

        if (!d->active) {
                say_off(d, "links", "Without an account this device does not listen.");
                return;
        }
        for (size_t i = 0, n = 0; i < e->n && n < sizeof(where) - 1; i++)
                n += (size_t)snprintf(
                        where + n, sizeof(where) - n, "%s%s", i ? ", " : "", e->text[i]);
        if (c->set_problem[CHAT_PROBLEM_LISTEN][0])
                say(d, "links", "failed",
                        "Set listen.address and listen.port in p2pchatd.conf to what is free; it "
                        "is tried again by itself.",
                        "%u open. %s", s->links, c->set_problem[CHAT_PROBLEM_LISTEN]);
        else if (e->n == 0 || c->set_problem[CHAT_PROBLEM_NETWORK][0])
                say(d, "links", "warning",
                        "Join a network, or name an address in listen.advertise of p2pchatd.conf.",
                        "%u open; this machine has no network address%s%s.", s->links,
                        e->n > 0 ? ", only who is on it as well can connect to " : "", where);
        else
                say(d, "links", "ok", NULL, "%u open; others can connect to %s.", s->links, where);
}

static void check_contacts(const Doctor *d) {
        const char *first;
        unsigned n = d->active ? names_count_changed(d->chat, &first) : 0;

        if (!d->active)
                say_off(d, "contacts", "Without an account there are no contacts.");
        else if (n > 0)
                say(d, "contacts", "failed",
                        "Ask the person in another way, then: chatc accept NAME keeps the account "
                        "that you know; chatc remove NAME and chatc add NAME take the other one.",
                        "A tracker gives the %s of %u contact%s, %s%s, to another account.",
                        n == 1 ? "name" : "names", n, PLURAL(n), first,
                        n == 1 ? "" : " and others");
        else
                say(d, "contacts", "ok", NULL,
                        "No tracker gives the name of a contact to another account.");
}

static void check_mailbox(const Doctor *d, const ChatStatus *s) {
        DeliveryMail m;

        delivery_get_mail(d->chat->parts.delivery, &m);
        if (!d->active)
                say_off(d, "mailbox", "Without an account there is no mailbox.");
        else if (s->lan_only)
                say(d, "mailbox", "off", NULL,
                        "Without a tracker there is no mailbox: messages to people who are away "
                        "wait on this device.");
        else if (m.trackers == 0)
                say(d, "mailbox", "warning", NULL,
                        "No tracker is connected: messages to people who are away wait on this "
                        "device.");
        else if (m.refused == CODE_NOT_SUPPORTED)
                say(d, "mailbox", "warning",
                        "Ask who runs the tracker to set mailbox.enabled, or add another tracker.",
                        "The tracker keeps no mail, or none for the last one who was away: "
                        "messages wait on this device.");
        else if (m.unopened > 0)
                say(d, "mailbox", "warning",
                        "Where another device of the account had it before, let both run until all "
                        "is handed over.",
                        "%u %s of mail could not be opened with the keys of this device: who sent "
                        "%s is asked to seal %s anew.",
                        m.unopened, m.unopened == 1 ? "piece" : "pieces",
                        m.unopened == 1 ? "it" : "them", m.unopened == 1 ? "it" : "them");
        else if (m.refused != CODE_OK)
                say(d, "mailbox", "warning", NULL,
                        "The last message for somebody who is away was not taken (%s); it waits "
                        "on this device and is tried again.",
                        code_name(m.refused));
        else
                say(d, "mailbox", "ok", NULL,
                        "%llu own %s in mailboxes; %llu %s to be left in others'.",
                        (unsigned long long)m.envelopes,
                        m.envelopes == 1 ? "message lies" : "messages lie",
                        (unsigned long long)m.owed, m.owed == 1 ? "receipt is" : "receipts are");
}

/* Rooms */

typedef struct RoomsLook {
        const Doctor *doctor;
        DbTxn *txn;
        unsigned rooms, invitations, unwell;
} RoomsLook;

/* What can be done about it. */
static const char *room_advice(const RoomView *v, const char *room, char *buf, size_t size) {
        if (v->read_only)
                snprintf(buf, size,
                        "Make another room and invite its members; chatc leave '%s' leaves this "
                        "one.",
                        room);
        else if (v->frozen > 0)
                snprintf(buf, size,
                        "chatc members '%s' shows who; he goes on with a new login, and the owner "
                        "and admins can remove him.",
                        room);
        else if (v->status == ROOM_JOINING)
                snprintf(buf, size,
                        "It goes on being tried until a member is online; chatc leave '%s' gives "
                        "it up.",
                        room);
        else if (!v->joined)
                snprintf(
                        buf, size, "Any member who is online brings it: nothing needs to be done.");
        else
                snprintf(buf, size,
                        "Its members go on as before; who is to come is invited: chatc invite '%s' "
                        "NAME.",
                        room);
        return buf;
}

static bool look_at_room(void *userdata, const RoomView *v) {
        _cleanup_(freep) RoomShown *s = malloc(sizeof(*s));
        char advice[CHAT_CHECK_TEXT_SIZE];
        RoomsLook *l = userdata;
        const char *problem;

        l->rooms += v->status == ROOM_JOINED;
        l->invitations += v->status == ROOM_INVITED;
        if (!s || (v->status != ROOM_JOINED && v->status != ROOM_JOINING))
                return true;
        room_show(l->doctor->chat, l->txn, v, s);
        problem = s->room.problem
                ?: v->status == ROOM_JOINING ? "No member has answered so far."
                : v->joined                  ? NULL
                                             : "Its newest key is not here yet.";
        if (problem && l->unwell++ < ROOMS_NAMED_MAX)
                say(l->doctor, "rooms", v->read_only ? "failed" : "warning",
                        room_advice(v, s->room.room, advice, sizeof(advice)), "%s: %s",
                        s->room.room, problem);
        return true;
}

static void check_rooms(const Doctor *d) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        RoomsLook l = {.doctor = d};
        char invited[64] = "";
        int r;

        if (!d->active) {
                say_off(d, "rooms", "Without an account there are no rooms.");
                return;
        }
        r = store_read_begin(d->chat->parts.store, &txn);
        l.txn = txn;
        if (r >= 0)
                r = rooms_each(d->chat->parts.rooms, txn, look_at_room, &l);
        if (l.invitations > 0)
                snprintf(invited, sizeof(invited), ", and invited to %u", l.invitations);
        if (r < 0)
                say(d, "rooms", "failed", NULL, "They cannot be read: %s.", strerror(-r));
        else if (l.unwell > ROOMS_NAMED_MAX)
                say(d, "rooms", "warning", "chatc rooms shows all.",
                        "Something is wrong with %u other rooms as well.",
                        l.unwell - ROOMS_NAMED_MAX);
        else if (l.unwell == 0)
                say(d, "rooms", "ok", NULL, "A member of %u room%s%s.", l.rooms, PLURAL(l.rooms),
                        invited);
}

/* What waits */

typedef struct Waiting {
        uint32_t people, rooms, room; /* how many; the last one */
        usec_t oldest;
} Waiting;

static void note_waiting(Waiting *w, DbTxn *txn, uint32_t feed, uint64_t seq) {
        HistoryRow message;

        if (history_get(txn, feed, seq, &message) > 0 && message.inner.sent > 0 &&
                (w->oldest == 0 || message.inner.sent < w->oldest))
                w->oldest = message.inner.sent;
}

/* The first in a feed is the oldest; a room has hardly more than one. */
static bool on_waiting_in_room(
        void *userdata, DbTxn *txn, uint32_t room, uint32_t feed, uint64_t seq) {
        Waiting *w = userdata;

        if (room != w->room) {
                w->room = room;
                w->rooms++;
                note_waiting(w, txn, feed, seq);
        }
        return true;
}

static void count_waiting(DbTxn *txn, Waiting *w) {
        uint32_t recipient = 0;
        OutboxRow row;

        while (w->people < RECIPIENTS_MAX &&
                outbox_next_recipient(txn, recipient, &recipient) > 0) {
                if (outbox_next(txn, recipient, (OutboxPosition){}, &row) > 0)
                        note_waiting(w, txn, row.at.feed, row.at.seq);
                w->people++;
        }
        (void)rooms_each_waiting(txn, on_waiting_in_room, w, NULL);
}

static void check_outbox(const Doctor *d, const ChatStatus *s) {
        char text[TIME_TEXT_SIZE], people[40] = "", rooms[40] = "";
        Waiting w = {};
        DbTxn *txn;
        int r;

        r = store_read_begin(d->chat->parts.store, &txn);
        if (r < 0) {
                say(d, "outbox", "failed", NULL, "It cannot be read: %s.", strerror(-r));
                return;
        }
        count_waiting(txn, &w);
        store_read_end(txn);
        if (w.people > 0 || w.rooms == 0)
                snprintf(people, sizeof(people), "%u %s", w.people,
                        w.people == 1 ? "person" : "people");
        if (w.rooms > 0)
                snprintf(rooms, sizeof(rooms), "%s%u room%s", w.people > 0 ? " and " : "", w.rooms,
                        PLURAL(w.rooms));
        if (s->queued == 0)
                say(d, "outbox", "ok", NULL, "Nothing waits.");
        else
                say(d, "outbox", "ok", NULL, "%u %s for %s%s, the oldest since %s.", s->queued,
                        s->queued == 1 ? "message waits" : "messages wait", people, rooms,
                        w.oldest > 0 ? usec_format(w.oldest, text) : "an unknown time");
}

static void check_hand_over(const Doctor *d, const ChatHandOver *h) {
        char advice[CHAT_CHECK_TEXT_SIZE];
        unsigned long long done = h->done, total = h->total;

        if (!h->active)
                return; /* most never have two devices */
        snprintf(advice, sizeof(advice), "chatc accept %s", chat_self(d->chat)->name);
        if (h->waiting && h->giving)
                say(d, "hand-over", "warning", advice,
                        "The other device of the account waits for what is here until you accept "
                        "it.");
        else if (h->waiting)
                say(d, "hand-over", "warning",
                        "Accept it there, as chatc doctor on that device says.",
                        "The device that was used before waits for its user.");
        else if (h->giving)
                say(d, "hand-over", "ok", NULL,
                        "%llu of %llu things have gone to the device that is used now; both have "
                        "to run until all have.",
                        done, total);
        else
                say(d, "hand-over", "ok", NULL,
                        "%llu of %llu things have come from the device that was used before; both "
                        "have to run until all have.",
                        done, total);
        if (h->refused > 0)
                say(d, "hand-over", "warning", NULL,
                        "%llu of the things that came were of no use here and were left out.",
                        (unsigned long long)h->refused);
}

void chat_doctor(Chat *c, ChatCheckFn fn, void *userdata) {
        Doctor d = {.chat = c,
                .active = account_is_active(c->parts.account),
                .fn = fn,
                .userdata = userdata};
        StoreHealth h;
        ChatStatus s;

        store_get_health(c->parts.store, &h);
        chat_status(c, &s);
        check_account(&d);
        check_configuration(&d);
        check_store(&d, &h);
        check_disk(&d, &h);
        check_clock(&d);
        check_key(&d);
        fn(userdata, &c->parts.sandbox);
        check_trackers(&d, &s);
        check_links(&d, &s);
        check_contacts(&d);
        check_rooms(&d);
        check_mailbox(&d, &s);
        check_outbox(&d, &s);
        check_hand_over(&d, &s.hand_over);
        for (size_t i = 0; i < c->n_checks; i++)
                c->checks[i].fn(c->checks[i].userdata, fn, userdata);
}
