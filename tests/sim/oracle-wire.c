/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Promises that leave for the network, as they are encoded: by then what they speak of must be on
 * the disk of whoever says it. The linker puts these functions in the place of those of wire/ (see
 * meson.build).
 */

#include "people.h"
#include "truth.h"
#include "wire/room-directory.h"

int __real_ack_encode(Buffer *out, const Uuid *ids, size_t n);
int __wrap_ack_encode(Buffer *out, const Uuid *ids, size_t n);
int __real_receipt_encode(Buffer *out, const Receipt *rc, const SignKey *device);
int __wrap_receipt_encode(Buffer *out, const Receipt *rc, const SignKey *device);
int __real_void_encode(Buffer *out, const Void *v, const SignKey *device);
int __wrap_void_encode(Buffer *out, const Void *v, const SignKey *device);

User *acting_user(void) {
        const Machine *m = world_acting();

        return m && !m->dead && !world_has_failed(m->world) ? m->user : NULL;
}

static bool has_come(const User *u, const Letter *l) {
        return l && l->to == u && l->arrived > 0;
}

int __wrap_ack_encode(Buffer *out, const Uuid *ids, size_t n) {
        User *u = acting_user();
        char id[UUID_TEXT_SIZE];

        people_hear_acks(ids, n);
        for (size_t i = 0; u && i < n; i++)
                if (!has_come(u, letter_find(user_ledger(u), &ids[i])))
                        FAIL(u, "ack-before-commit", "%s", uuid_format(&ids[i], id));
        return __real_ack_encode(out, ids, n);
}

static bool is_true(const User *u, const Letter *l, ReceiptState state) {
        return has_come(u, l) && (state == RECEIPT_DELIVERED || l->read);
}

/* What is known to be whole need not be looked at once more. */
static void check_receipt(User *u, const Receipt *rc) {
        User *author = ledger_find_user(user_ledger(u), rc->author);
        const Chain *c = author ? mail_chain(mail_between(author, u), rc->epoch) : NULL;

        if (!c) {
                FAIL(u, "forged", "signs for what nobody has written");
                return;
        }
        if (rc->state == RECEIPT_READ && !machine_says_read(u->machine))
                FAIL(u, "read-not-allowed", "lets %s know", author->machine->name);
        for (size_t i = 0; i < rc->n_ranges; i++) {
                uint64_t seq = rc->ranges[i].first;

                if (rc->state == RECEIPT_DELIVERED)
                        seq = MAX(seq, c->whole + 1);
                for (; seq <= rc->ranges[i].last; seq++)
                        if (seq > c->n || !is_true(u, c->letters[seq - 1], rc->state)) {
                                FAIL(u, "receipt-before-commit", "of %s, seq %llu",
                                        author->machine->name, (unsigned long long)seq);
                                return;
                        }
        }
}

int __wrap_receipt_encode(Buffer *out, const Receipt *rc, const SignKey *device) {
        User *u = acting_user();

        people_hear_receipt(rc);
        if (u)
                check_receipt(u, rc);
        return __real_receipt_encode(out, rc, device);
}

/* It names nobody: the author's device tells the conversation by a hash. */
static Mail *find_conversation(const User *u, const uint8_t *conversation) {
        const World *w = u->machine->world;
        uint8_t hash[SHA256_SIZE];

        for (unsigned i = 0; i < w->n_users; i++) {
                const User *to = w->machines[i]->user;

                if (to == u)
                        continue;
                conversation_direct(u->account, to->account, hash);
                if (memcmp(hash, conversation, SHA256_SIZE) == 0)
                        return mail_between(u, to);
        }
        return NULL;
}

static void check_void(User *u, const Void *v) {
        Mail *m = find_conversation(u, v->conversation);
        const Chain *c = m ? mail_chain(m, v->epoch) : NULL;

        if (!c) {
                FAIL(u, "forged", "gives up what it has not written");
                return;
        }
        for (size_t i = 0; i < v->n_ranges; i++)
                for (uint64_t seq = v->ranges[i].first; seq <= v->ranges[i].last; seq++) {
                        const Letter *l = seq <= c->n ? c->letters[seq - 1] : NULL;

                        if (l && l->given_up)
                                continue;
                        FAIL(u, "void-before-commit", "\"%s\", seq %llu to %s", l ? l->text : "",
                                (unsigned long long)seq, m->to->machine->name);
                        return;
                }
}

int __wrap_void_encode(Buffer *out, const Void *v, const SignKey *device) {
        User *u = acting_user();

        if (u)
                check_void(u, v);
        return __real_void_encode(out, v, device);
}

/* Nor may a tracker learn of some things at all. */

int __real_room_publish_encode(Buffer *out, uint64_t request, const RoomPublish *p);
int __wrap_room_publish_encode(Buffer *out, uint64_t request, const RoomPublish *p);

int __wrap_room_publish_encode(Buffer *out, uint64_t request, const RoomPublish *p) {
        User *u = acting_user();

        if (u && user_ledger(u)->room_hidden)
                FAIL(u, "room-hidden", "tells a tracker of the room");
        return __real_room_publish_encode(out, request, p);
}

void ledger_hear_message(Bytes bytes) {
        User *u = acting_user();
        const Letter *l = NULL;
        Inner inner;

        people_hear_inner(bytes);
        if (!u)
                return;
        if (inner_decode(bytes, &inner) >= 0)
                l = letter_find(user_ledger(u), &inner.id);
        if (!l || l->from != u || !l->kept)
                FAIL(u, "frame-before-commit", "%s", l ? l->text : "nobody has written it");
}
