/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "parts.h"

#include <assert.h>

#include "directory/lan.h"
#include "rooms/handover.h"

static void parts_changed(const Parts *p) {
        if (p->callbacks->changed)
                p->callbacks->changed(p->userdata);
}

/* Callbacks of the account */

static void parts_say_active(const Parts *p, bool active) {
        if (p->callbacks->active)
                p->callbacks->active(p->userdata, active);
}

/* Where another device is active, peers are told so. */
static void parts_rest(const Parts *p) {
        if (account_is_replaced(p->account))
                delivery_retire(p->delivery, account_replaced_by(p->account));
        else
                delivery_stop(p->delivery);
}

static void on_active(void *userdata, bool active) {
        const Parts *p = userdata;

        if (active) {
                parts_say_active(p, true);
                directory_start(p->directory);
                delivery_start(p->delivery); /* which keeps where the other device is */
                (void)directory_seek_own(p->directory, NULL, (Bytes){});
                rooms_start(p->rooms);
        } else {
                rooms_stop(p->rooms);
                parts_rest(p);
                parts_say_active(p, false);
                directory_announce(p->directory, false, (Bytes){});
        }
        handover_start(p->handover);
        chat_on_active(p->chat, active);
        parts_changed(p);
}

static void on_use_tracker(void *userdata, const char *address) {
        const Parts *p = userdata;
        EndpointKey e;

        if (!address)
                (void)directory_set_trackers(p->directory, NULL, 0);
        else if (address[0] && endpoint_key_parse(address, &e) >= 0)
                (void)directory_set_trackers(p->directory, &e, 1);
        else
                (void)directory_set_trackers(p->directory, p->trackers, p->n_trackers);
}

static void on_published(void *userdata, Bytes presence) {
        const Parts *p = userdata;

        delivery_set_presence(p->delivery, presence);
}

static void on_own_presence(void *userdata) {
        const Parts *p = userdata;

        chat_on_own_presence(p->chat);
}

/* Links were greeted with the epoch before. */
static void on_new_epoch(void *userdata, bool taken) {
        const Parts *p = userdata;

        if (!taken) {
                delivery_hold_back(p->delivery);
                return;
        }
        rooms_stop(p->rooms);
        delivery_stop(p->delivery);
        delivery_start(p->delivery);
        rooms_start(p->rooms);
        if (p->callbacks->restored)
                p->callbacks->restored(p->userdata);
}

static void on_replaced(void *userdata) {
        const Parts *p = userdata;

        delivery_retire(p->delivery, account_replaced_by(p->account));
        handover_start(p->handover);
        chat_on_replaced(p->chat);
        parts_changed(p);
}

static void on_giving_up(void *userdata) {
        const Parts *p = userdata;

        chat_leave_rooms(p->chat);
}

static void on_deleted(void *userdata) {
        const Parts *p = userdata;

        if (p->callbacks->deleted)
                p->callbacks->deleted(p->userdata);
}

static const AccountCallbacks account_callbacks = {
        .active = on_active,
        .published = on_published,
        .own_presence = on_own_presence,
        .use_tracker = on_use_tracker,
        .new_epoch = on_new_epoch,
        .replaced = on_replaced,
        .giving_up = on_giving_up,
        .deleted = on_deleted,
};

/* Callbacks of the directory */

static void on_trackers_changed(void *userdata) {
        const Parts *p = userdata;

        account_trackers_changed(p->account);
        if (!p->chat)
                return; /* when everything ends */
        if (p->callbacks->trackers_changed)
                p->callbacks->trackers_changed(p->userdata);
        chat_on_trackers_changed(p->chat);
        parts_changed(p);
}

static void on_record(void *userdata, const Record *record, Bytes outer) {
        const Parts *p = userdata;

        chat_on_record(p->chat, record, outer);
        delivery_heard_record(p->delivery, record->account);
}

static void on_own_record(void *userdata, const Record *record, Bytes outer) {
        const Parts *p = userdata;

        account_see_own_record(p->account, record, outer);
}

static void on_presence(void *userdata, const uint8_t account[static KEY_SIZE], bool online,
        usec_t last_seen, const PresenceRecord *presence) {
        const Parts *p = userdata;

        if (!p->chat)
                return; /* probes end when everything does */
        if (key_equal(account, sign_key_public(&account_identity(p->account)->account))) {
                delivery_appeared(p->delivery, account); /* another device of it */
                return;
        }
        chat_on_presence(p->chat, account, online, last_seen, presence);
        rooms_presence(p->rooms, account, online);
}

static void on_room_update(void *userdata, const DirectoryRoomUpdate *u) {
        const Parts *p = userdata;

        if (p->chat)
                chat_on_room_update(p->chat, u);
}

static void on_room_refused(
        void *userdata, const uint8_t room[static ROOM_ID_SIZE], Code code, const char *text) {
        const Parts *p = userdata;

        if (p->chat)
                chat_on_room_refused(p->chat, room, code, text);
}

static void on_lan(void *userdata, const uint8_t account[static KEY_SIZE]) {
        const Parts *p = userdata;

        delivery_on_lan(p->delivery, account);
}

static void on_tracker_ready(void *userdata, Session *s) {
        const Parts *p = userdata;

        delivery_tracker_ready(p->delivery, s);
        directory_ask_own(p->directory, s); /* a store that was restored has an older record */
}

static void on_mail_waiting(void *userdata, Session *s) {
        const Parts *p = userdata;

        delivery_mail_waiting(p->delivery, s);
}

static void on_named(void *userdata, const char *name, const uint8_t account[static KEY_SIZE]) {
        const Parts *p = userdata;

        if (p->chat)
                chat_on_named(p->chat, name, account);
}

static void on_name_refused(void *userdata, Code code, const char *text) {
        const Parts *p = userdata;

        if (p->callbacks->name_refused)
                p->callbacks->name_refused(p->userdata, code, text);
        chat_on_name_refused(p->chat, code, text);
        parts_changed(p);
}

static int on_probe(void *userdata, const uint8_t account[static KEY_SIZE], const SockAddr *at,
        DirectoryProbedFn fn, void *fn_userdata, void **ret_probe) {
        static_assert(DELIVERY_PROBES_MAX > LAN_PROBES_MAX, "look-ups have room");
        const Parts *p = userdata;
        DeliveryProbe *probe;
        int r;

        r = delivery_probe(p->delivery, account, at, fn, fn_userdata, &probe);
        if (r >= 0)
                *ret_probe = probe;
        return r;
}

static void on_probe_free(void *probe) {
        delivery_probe_free(probe);
}

static void on_lan_changed(void *userdata) {
        const Parts *p = userdata;

        if (p->chat)
                chat_on_lan_changed(p->chat);
}

static const DirectoryCallbacks directory_callbacks = {
        .trackers_changed = on_trackers_changed,
        .record = on_record,
        .own_record = on_own_record,
        .presence = on_presence,
        .tracker_ready = on_tracker_ready,
        .mail_waiting = on_mail_waiting,
        .named = on_named,
        .name_refused = on_name_refused,
        .probe = on_probe,
        .probe_free = on_probe_free,
        .lan_changed = on_lan_changed,
        .on_lan = on_lan,
        .room_update = on_room_update,
        .room_refused = on_room_refused,
};

/* Callbacks of delivery and of the store */

static void on_link_changed(void *userdata, const uint8_t account[static KEY_SIZE], bool up) {
        const Parts *p = userdata;

        if (!p->chat) /* everything ends, and links to members of rooms are let go */
                return;
        chat_on_link_changed(p->chat, account, up);
        parts_changed(p);
}

static void on_typing(void *userdata, const uint8_t account[static KEY_SIZE], bool on) {
        const Parts *p = userdata;

        if (p->chat) /* else everything ends */
                chat_on_typing(p->chat, account, on);
}

static void on_prekey_missing(void *userdata) {
        const Parts *p = userdata;

        account_renew_prekey(p->account);
}

static void on_room_link(void *userdata, Link *l, const uint8_t account[static KEY_SIZE], bool up) {
        const Parts *p = userdata;

        if (!p->rooms) /* everything ends */
                return;
        if (up)
                rooms_link_up(p->rooms, l);
        else
                rooms_link_down(p->rooms, account);
}

static int on_room_frame(void *userdata, Link *l, Frame *f) {
        const Parts *p = userdata;

        return rooms_frame(p->rooms, l, f);
}

static void on_room_drained(void *userdata, Link *l) {
        const Parts *p = userdata;

        rooms_drained(p->rooms, l);
}

static void on_room_notice(void *userdata, Bytes notice, Bytes record) {
        const Parts *p = userdata;

        rooms_notice(p->rooms, notice, record);
}

static void on_behind(void *userdata, uint64_t epoch) {
        const Parts *p = userdata;

        account_behind(p->account, epoch,
                "a contact has messages of this device that are not here; its store was restored "
                "from a copy");
}

static void on_own_link(void *userdata, Link *l, bool up) {
        const Parts *p = userdata;

        if (p->handover) /* else everything ends */
                handover_own_link(p->handover, l, up);
}

static int on_own_frame(void *userdata, Link *l, Frame *f) {
        const Parts *p = userdata;

        return handover_frame(p->handover, l, f);
}

static void on_own_drained(void *userdata, Link *l) {
        const Parts *p = userdata;

        handover_drained(p->handover, l);
}

static const DeliveryCallbacks delivery_callbacks = {
        .own_link = on_own_link,
        .own_frame = on_own_frame,
        .own_drained = on_own_drained,
        .own_record = on_own_record,
        .link_changed = on_link_changed,
        .typing = on_typing,
        .prekey_missing = on_prekey_missing,
        .room_link = on_room_link,
        .room_frame = on_room_frame,
        .room_drained = on_room_drained,
        .room_notice = on_room_notice,
        .behind = on_behind,
};

/* Callbacks of rooms */

static Link *room_link(void *userdata, const uint8_t account[static KEY_SIZE]) {
        const Parts *p = userdata;

        return delivery_room_link(p->delivery, account);
}

static void room_want_link(void *userdata, const uint8_t account[static KEY_SIZE], bool want) {
        const Parts *p = userdata;

        (void)delivery_hold_link(p->delivery, account, want);
}

static bool room_is_online(void *userdata, const uint8_t account[static KEY_SIZE]) {
        const Parts *p = userdata;
        const KnownPresence *known = directory_presence(p->directory, account);

        return (known && known->online) || delivery_has_link(p->delivery, account) ||
                (p->chat && chat_room_is_online(p->chat, account));
}

static int room_leave_notice(void *userdata, const uint8_t account[static KEY_SIZE], Bytes notice) {
        const Parts *p = userdata;

        return delivery_leave_room_notice(p->delivery, account, notice);
}

static void room_changed(void *userdata, uint32_t room) {
        const Parts *p = userdata;

        if (p->chat) /* else everything ends */
                chat_on_room_changed(p->chat, room);
}

static void room_typing(
        void *userdata, uint32_t room, const uint8_t account[static KEY_SIZE], bool on) {
        const Parts *p = userdata;

        if (p->chat)
                chat_on_room_typing(p->chat, room, account, on);
}

static void room_presence(
        void *userdata, uint32_t room, const uint8_t account[static KEY_SIZE], bool online) {
        const Parts *p = userdata;

        if (p->chat)
                chat_on_room_presence(p->chat, room, account, online);
}

static void room_publish(void *userdata, uint32_t room) {
        const Parts *p = userdata;

        if (p->chat)
                chat_on_room_publish(p->chat, room);
}

typedef struct Near {
        RoomsNearFn fn;
        void *userdata;
} Near;

static bool on_near(void *userdata, const LanPerson *p) {
        const Near *n = userdata;

        return n->fn(n->userdata, p->account);
}

static void room_each_near(void *userdata, RoomsNearFn fn, void *fn_userdata) {
        const Parts *p = userdata;

        directory_lan_each(p->directory, on_near, &(Near){.fn = fn, .userdata = fn_userdata});
}

static void room_behind(void *userdata, const char *why) {
        const Parts *p = userdata;

        if (p->account)
                account_behind(p->account, account_identity(p->account)->epoch, why);
}

static const RoomsCallbacks rooms_callbacks = {
        .link = room_link,
        .want_link = room_want_link,
        .is_online = room_is_online,
        .leave_notice = room_leave_notice,
        .changed = room_changed,
        .typing = room_typing,
        .presence = room_presence,
        .publish = room_publish,
        .behind = room_behind,
        .each_near = room_each_near,
};

/* Callbacks of the hand-over */

static void hand_changed(void *userdata) {
        const Parts *p = userdata;

        if (!p->chat)
                return;
        chat_on_handover(p->chat);
        parts_changed(p);
}

/* What is in memory hears of what is on disk. */
static void hand_taken(void *userdata, HandoverStage stage) {
        const Parts *p = userdata;

        if (!p->chat)
                return;
        if (stage >= HANDOVER_STAGE_ALL && handover_key_is_known(p->store) > 0)
                (void)account_change_presence_key(p->account);
        account_presence_key_changed(p->account);
        chat_on_handed_over(p->chat, stage);
        delivery_grant_anew(p->delivery);
        delivery_handed_over(p->delivery);
        parts_changed(p);
}

static void hand_ask(void *userdata) {
        const Parts *p = userdata;

        if (p->callbacks->handover_asks)
                p->callbacks->handover_asks(p->userdata);
}

static void hand_want(void *userdata, bool wanted) {
        const Parts *p = userdata;

        delivery_want_own(p->delivery, wanted);
        account_set_handing_over(p->account, wanted);
        if (p->callbacks->reachable)
                p->callbacks->reachable(p->userdata);
}

static void hand_end(void *userdata, Link *l, Code code, const char *text) {
        const Parts *p = userdata;

        delivery_close_own(p->delivery, l, code, text);
}

static int hand_rooms_read(void *userdata, DbTxn *txn, Bytes position, size_t max, Buffer *items,
        uint64_t *ret_n, Buffer *next) {
        const Parts *p = userdata;

        return rooms_handover_read(
                txn, account_identity(p->account), position, max, items, ret_n, next);
}

static int hand_rooms_merge(void *userdata, Bytes item) {
        const Parts *p = userdata;

        return rooms_handover_merge(p->rooms, item);
}

static int hand_rooms_count(void *userdata, DbTxn *txn, uint64_t *ret) {
        return rooms_handover_count(txn, ret);
}

static const HandoverCallbacks handover_callbacks = {
        .changed = hand_changed,
        .taken = hand_taken,
        .ask = hand_ask,
        .want = hand_want,
        .end = hand_end,
        .rooms_read = hand_rooms_read,
        .rooms_merge = hand_rooms_merge,
        .rooms_count = hand_rooms_count,
};

void parts_set_handover_asks(Parts *p, bool asks) {
        handover_set_ask(p->handover, asks);
}

static void on_events(void *userdata, int error) {
        const Parts *p = userdata;

        chat_on_events(p->chat, error);
        parts_changed(p);
}

/* Putting it together */

void parts_set_trackers(Parts *p, const EndpointKey *trackers, size_t n) {
        assert(n <= ELEMENTSOF(p->trackers));
        copy_bytes(p->trackers, trackers, n * sizeof(*trackers));
        p->n_trackers = n;
        on_use_tracker(p, account_tracker(p->account));
}

bool parts_is_reachable(const Parts *p) {
        return account_is_active(p->account) || account_is_handing_over(p->account);
}

void parts_publish(Parts *p, const Endpoints *endpoints) {
        account_publish(p->account, endpoints);
}

void parts_woke(Parts *p, usec_t slept) {
        account_clock_changed(p->account);
        chat_clock_changed(p->chat);
        directory_woke(p->directory, slept);
        delivery_woke(p->delivery);
}

void parts_start(Parts *p) {
        account_start(p->account);
}

void parts_stop(Parts *p) {
        rooms_stop(p->rooms);
        delivery_stop(p->delivery);
        directory_stop(p->directory);
}

int parts_new(const PartsArgs *args, Parts **ret) {
        Parts *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        *p = (Parts){
                .store = args->store, .callbacks = args->callbacks, .userdata = args->userdata};
        r = net_new(args->loop, &p->net);
        if (r >= 0)
                r = account_new(args->store, args->loop, args->heartbeat, &account_callbacks, p,
                        &p->account);
        if (r >= 0)
                r = tls_identity_new(&account_identity(p->account)->device, &p->tls);
        if (r >= 0) {
                account_set_tls(p->account, p->tls);
                r = directory_new(
                        p->net, account_local(p->account), &directory_callbacks, p, &p->directory);
        }
        if (r >= 0)
                r = delivery_new(args->loop, args->store, p->net, p->directory,
                        account_identity(p->account), account_local(p->account), &args->delivery,
                        &delivery_callbacks, p, &p->delivery);
        if (r >= 0)
                r = rooms_new(args->loop, args->store, account_identity(p->account),
                        account_local(p->account), args->max_members, &rooms_callbacks, p,
                        &p->rooms);
        if (r >= 0)
                r = handover_new(args->loop, args->store, account_identity(p->account),
                        &handover_callbacks, p, &p->handover);
        if (r >= 0)
                r = chat_new(&(ChatParts){.loop = args->loop,
                                     .store = args->store,
                                     .account = p->account,
                                     .directory = p->directory,
                                     .delivery = p->delivery,
                                     .rooms = p->rooms,
                                     .handover = p->handover,
                                     .state_dir = args->state_dir,
                                     .sandbox = args->sandbox},
                        &p->chat);
        if (r < 0) {
                parts_free(p);
                return r;
        }
        account_set_directory(p->account, p->directory);
        store_set_events_fn(args->store, on_events, p);
        *ret = p;
        return 0;
}

/* Connections that are still ending use the TLS identity. The store has one more batch to commit,
 * perhaps, whose events are read by clients when they come back. */
Parts *parts_free(Parts *p) {
        if (!p)
                return NULL;
        store_set_events_fn(p->store, NULL, NULL);
        p->chat = chat_free(p->chat);
        p->handover = handover_free(p->handover);
        p->rooms = rooms_free(p->rooms);
        delivery_free(p->delivery);
        if (p->account)
                account_set_directory(p->account, NULL);
        directory_free(p->directory);
        net_free(p->net);
        tls_identity_free(p->tls);
        account_free(p->account);
        free(p);
        return NULL;
}
