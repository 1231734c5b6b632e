/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What people's devices sign and say, as it is encoded: nothing that is not on disk, nothing after
 * another device has taken over, and no two messages with one number. The linker puts the functions
 * here, and those of oracle-wire.c and faults.c, in the place of those of wire/.
 */

#include "crypto/hash.h"
#include "people-private.h"
#include "store/handover-state.h"
#include "wire/handover.h"

typedef struct PlaceKey {
        uint8_t conversation[SHA256_SIZE], account[KEY_SIZE], device[KEY_SIZE];
        uint64_t epoch, seq;
} PlaceKey;

struct Place {
        PlaceKey key;
        Note *note;
        uint8_t hash[SHA256_SIZE];
        bool forked;
        UT_hash_handle hh;
};

void places_free(People *p) {
        Place *place, *tmp;

        HASH_ITER (hh, p->places, place, tmp) {
                HASH_DEL(p->places, place);
                free(place);
        }
}

Seat *acting_seat(void) {
        const Machine *m = world_acting();

        return m && m->seat && !m->dead && !world_has_failed(m->world) ? m->seat : NULL;
}

static bool is_replaced(Seat *s, const char *what) {
        if (s->replaced)
                PERSON_FAIL(s, "signs-after-replacement", "%s", what);
        return s->replaced;
}

/* Acks and receipts */

void people_hear_acks(const Uuid *ids, size_t n) {
        Seat *s = acting_seat();
        char id[UUID_TEXT_SIZE];

        if (!s || is_replaced(s, "an ack"))
                return;
        for (size_t i = 0; i < n; i++) {
                Note *note = note_find(s->person->people, &ids[i]);

                if (!note || !note_is_for(note, s->person) || !note_at(note, s->person)->arrived)
                        PERSON_FAIL(s, "ack-before-commit", "%s", uuid_format(&ids[i], id));
        }
}

static Place *find_place(const People *p, const PlaceKey *key) {
        Place *place;

        HASH_FIND(hh, p->places, key, sizeof(*key), place);
        return place;
}

void people_hear_receipt(const Receipt *rc) {
        Seat *s = acting_seat();
        PlaceKey key = {.epoch = rc->epoch};

        if (!s || is_replaced(s, "a receipt"))
                return;
        memcpy(key.conversation, rc->conversation, SHA256_SIZE);
        memcpy(key.account, rc->author, KEY_SIZE);
        memcpy(key.device, rc->device, KEY_SIZE);
        for (size_t i = 0; i < rc->n_ranges; i++)
                for (key.seq = rc->ranges[i].first; key.seq <= rc->ranges[i].last; key.seq++) {
                        const Place *place = find_place(s->person->people, &key);

                        if (place && (place->forked || note_at(place->note, s->person)->arrived))
                                continue;
                        PERSON_FAIL(s, "receipt-before-commit", "%s, epoch %llu, seq %llu",
                                place ? place->note->text : "nobody has written it",
                                (unsigned long long)key.epoch, (unsigned long long)key.seq);
                        return;
                }
}

/* Messages */

static void check_place(Seat *s, Place *place, Note *n, const uint8_t *hash) {
        if (place->note == n && memcmp(place->hash, hash, SHA256_SIZE) == 0)
                return;
        place->forked = place->note->forked = n->forked = true;
        if (!n->loose && !place->note->loose)
                PERSON_FAIL(s, "seq-reused",
                        "\"%s\" and \"%s\" have one place: epoch %llu, seq %llu", place->note->text,
                        n->text, (unsigned long long)place->key.epoch,
                        (unsigned long long)place->key.seq);
}

/* Who enters it anew does so in another epoch. */
static void check_other_places(Seat *s, const Place *place) {
        Place *other, *tmp;

        HASH_ITER (hh, s->person->people->places, other, tmp)
                if (other != place && other->note == place->note &&
                        other->key.epoch == place->key.epoch &&
                        key_equal(other->key.device, place->key.device))
                        PERSON_FAIL(s, "entered-twice", "\"%s\" is seq %llu and %llu of epoch %llu",
                                place->note->text, (unsigned long long)other->key.seq,
                                (unsigned long long)place->key.seq,
                                (unsigned long long)place->key.epoch);
}

static void note_place(Seat *s, const Inner *m, Bytes bytes, Note *n) {
        People *p = s->person->people;
        uint8_t hash[SHA256_SIZE];
        PlaceKey key = {.epoch = m->epoch, .seq = m->seq};
        Place *place;

        memcpy(key.conversation, m->conversation, SHA256_SIZE);
        memcpy(key.account, m->account, KEY_SIZE);
        memcpy(key.device, m->device, KEY_SIZE);
        sha256(bytes.data, bytes.size, hash);
        place = find_place(p, &key);
        if (place) {
                check_place(s, place, n, hash);
                return;
        }
        place = must(calloc(1, sizeof(*place)));
        *place = (Place){.key = key, .note = n};
        memcpy(place->hash, hash, SHA256_SIZE);
        HASH_ADD(hh, p->places, key, sizeof(key), place);
        must(place->hh.tbl);
        check_other_places(s, place);
}

void people_hear_inner(Bytes bytes) {
        Seat *s = acting_seat();
        Note *n = NULL;
        Inner inner;

        if (!s || is_replaced(s, "a message"))
                return;
        if (inner_decode(bytes, &inner) >= 0)
                n = note_find(s->person->people, &inner.id);
        if (!n || n->from != s->person || n->kept == 0)
                PERSON_FAIL(s, "frame-before-commit", "%s", n ? n->text : "nobody has written it");
        else
                note_place(s, &inner, bytes, n);
}

/* Who somebody is: who was replaced says nothing of that, until he logs in again. */

static void check_epoch(uint64_t epoch, const char *what) {
        Seat *s = acting_seat();

        if (!s || (s->replaced && !s->logging_in && is_replaced(s, what)))
                return;
        if (epoch < s->epoch)
                PERSON_FAIL(s, "old-epoch", "%s of epoch %llu, in epoch %llu", what,
                        (unsigned long long)epoch, (unsigned long long)s->epoch);
}

int __real_record_encode(const Record *r, const SignKey *account, Buffer *out);
int __wrap_record_encode(const Record *r, const SignKey *account, Buffer *out);
int __real_presence_encode(const PresenceRecord *p, const SignKey *device, Buffer *out);
int __wrap_presence_encode(const PresenceRecord *p, const SignKey *device, Buffer *out);

int __wrap_record_encode(const Record *r, const SignKey *account, Buffer *out) {
        check_epoch(r->epoch, "a record");
        return __real_record_encode(r, account, out);
}

int __wrap_presence_encode(const PresenceRecord *p, const SignKey *device, Buffer *out) {
        check_epoch(p->epoch, "where it is");
        return __real_presence_encode(p, device, out);
}

/* What is handed over: what is said to be taken is on disk. */

int __real_handover_encode(Buffer *out, const HandoverFrame *h);
int __wrap_handover_encode(Buffer *out, const HandoverFrame *h);

typedef struct Taken {
        const HandoverFrame *frame;
        bool found;
} Taken;

static bool on_take(void *userdata, const HandoverTake *t) {
        Taken *x = userdata;
        Bytes position = {.data = t->position, .size = t->n_position};

        x->found |= x->frame->what == HANDOVER_DONE ? t->done
                                                    : bytes_equal(position, x->frame->position);
        return !x->found;
}

static void check_taken(Seat *s, const HandoverFrame *h) {
        Taken x = {.frame = h};
        DbTxn *txn;

        if (store_read_begin(s->machine->store, &txn) < 0)
                return;
        (void)store_each_handover_take(txn, on_take, &x);
        store_read_end(txn);
        if (!x.found)
                PERSON_FAIL(s, "taken-before-commit", "%s",
                        h->what == HANDOVER_DONE ? "all of it" : "a piece");
}

int __wrap_handover_encode(Buffer *out, const HandoverFrame *h) {
        Seat *s = acting_seat();

        if (s && (h->what == HANDOVER_TAKEN || h->what == HANDOVER_DONE))
                check_taken(s, h);
        return __real_handover_encode(out, h);
}
