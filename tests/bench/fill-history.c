/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A long conversation in the store of a daemon that does not run, as if it had been led: own
 * messages with their receipts and the other's in turn, through the functions that the daemon uses.
 *
 *   fill-history STATE-DIR PEER COUNT SIZE
 *
 * PEER is a contact's name. Prints ten ids, from all over the conversation, as a list in JSON.
 */

#include <systemd/sd-event.h>

#include "bench.h"
#include "net/loop-sd-event.h"
#include "store/message.h"
#include "store/seal.h"
#include "util/fs.h"

/* Messages in a commit, and own ones in a receipt. */
#define BATCH 2000

typedef struct Filler {
        Loop *loop;
        Store *store;
        Identity self;
        Contact peer;
        Record peer_record; /* points into `record` */
        Buffer record;
        Conversation conversation;
        Feed own, foreign;
        Buffer inner;
        Bytes text;
} Filler;

/* With the key that is beside it. */
static void unseal(Store *s, const char *dir) {
        StoreKeyInfo info;
        char *path, *key;
        size_t size;

        bench_check(store_key_info(s, &info), "store");
        if (info.keeping == KEEPING_NONE)
                return;
        path = fs_join(dir, "key");
        bench_check(path ? 0 : -ENOMEM, "memory");
        bench_check(fs_read_file(path, STORE_KEY_SIZE, &key, &size), path);
        bench_check(size == STORE_KEY_SIZE ? 0 : -EINVAL, path);
        bench_check(store_unseal(s, (const uint8_t *)key), path);
        free(key);
        free(path);
}

static void filler_open(Filler *f, const char *dir, const char *peer) {
        uint8_t account[KEY_SIZE];
        DbTxn *txn;
        int r;

        bench_check(store_open(dir, f->loop, &f->store), dir);
        unseal(f->store, dir);
        r = store_load_identity(f->store, &f->self);
        bench_check(r > 0 ? 0 : -ENOENT, "identity");
        txn = store_write(f->store);
        bench_check(txn ? 0 : -EIO, "store");
        r = contact_resolve(txn, peer, account);
        if (r > 0)
                r = contact_get(txn, account, &f->peer);
        bench_check(r > 0 ? 0 : -ENOENT, peer);
        bench_check(buffer_append(&f->record, f->peer.record.data, f->peer.record.size), "memory");
        bench_check(record_parse(buffer_bytes(&f->record), &f->peer_record), "record");
        bench_check(conversation_open_direct(f->store, sign_key_public(&f->self.account), &f->peer,
                            &f->conversation),
                "conversation");
        bench_check(feed_open(f->store, f->conversation.number, SELF_NUMBER, f->self.epoch,
                            sign_key_public(&f->self.device), &f->own),
                "own feed");
        bench_check(feed_open(f->store, f->conversation.number, f->peer.number,
                            f->peer_record.epoch, f->peer_record.device.device, &f->foreign),
                "foreign feed");
}

static Uuid new_id(Filler *f, usec_t now) {
        uint8_t random[10];

        loop_random(f->loop, random, sizeof(random));
        return uuid_make_v7(now, random);
}

static Uuid fill_own(Filler *f) {
        NewMessage m = {
                .self = &f->self, .to = &f->peer, .text = f->text, .now = loop_realtime(f->loop)};

        m.id = new_id(f, m.now);
        bench_check(store_send(f->store, &m), "send");
        return m.id;
}

static Uuid fill_foreign(Filler *f) {
        usec_t now = loop_realtime(f->loop);
        uint8_t hash[SHA256_SIZE];
        NewEntry e = {.self = &f->self, .from = &f->peer, .hash = hash, .now = now};
        Feed *feed = &f->foreign;
        ReceivedAt at;
        Received got;
        Inner i = {.id = new_id(f, now),
                .epoch = feed->epoch,
                .seq = feed->seq + 1,
                .hlc = hlc_next(f->conversation.hlc, now),
                .sent = now,
                .expires = now + MESSAGE_EXPIRES_DEFAULT,
                .kind = KIND_TEXT,
                .body = f->text};

        memcpy(i.conversation, f->conversation.hash, SHA256_SIZE);
        memcpy(i.account, f->peer.account, KEY_SIZE);
        memcpy(i.device, feed->device, KEY_SIZE);
        memcpy(i.prev, feed->hash, SHA256_SIZE);
        buffer_clear(&f->inner);
        bench_check(inner_encode(&f->inner, &i), "message");
        e.inner = &i;
        e.bytes = buffer_bytes(&f->inner);
        sha256(e.bytes.data, e.bytes.size, hash);
        bench_check(store_receive(f->store, &e, &got, &at), "receive");
        bench_check(got == RECEIVED_NEW ? 0 : -EEXIST, "receive");
        feed->seq = i.seq;
        memcpy(feed->hash, hash, SHA256_SIZE);
        f->conversation.hlc = i.hlc;
        return i.id;
}

static void on_delivered(void *userdata, const Uuid *id) {
}

/* All own messages have arrived. */
static void fill_receipt(Filler *f) {
        Receipt rc = {.epoch = f->self.epoch, .state = RECEIPT_DELIVERED, .n_ranges = 1};

        bench_check(feed_get(store_write(f->store), f->own.number, &f->own), "own feed");
        memcpy(rc.conversation, f->conversation.hash, SHA256_SIZE);
        memcpy(rc.author, sign_key_public(&f->self.account), KEY_SIZE);
        memcpy(rc.device, f->own.device, KEY_SIZE);
        memcpy(rc.hash, f->own.hash, SHA256_SIZE);
        memcpy(rc.reader, f->peer.account, KEY_SIZE);
        rc.ranges[0] = (SeqRange){.first = 1, .last = f->own.seq};
        bench_check(store_take_receipt(f->store, &f->self, &f->peer, &rc, loop_realtime(f->loop),
                            on_delivered, NULL),
                "receipt");
}

static void fill(Filler *f, size_t count) {
        size_t tenth = count / 10 ?: 1;
        char text[UUID_TEXT_SIZE];

        for (size_t n = 0; n < count; n++) {
                Uuid id = n % 2 ? fill_own(f) : fill_foreign(f);

                if (n % tenth == 0)
                        printf("%s\"%s\"", n ? ", " : "[", uuid_format(&id, text));
                if ((n + 1) % BATCH == 0 || n + 1 == count) {
                        fill_receipt(f);
                        bench_check(store_commit(f->store), "commit");
                }
        }
        printf("]\n");
}

int main(int argc, char **argv) {
        Filler f = {};
        sd_event *event;
        uint8_t *text;
        size_t size;

        if (argc != 5) {
                fprintf(stderr, "usage: fill-history STATE-DIR PEER COUNT SIZE\n");
                return 2;
        }
        size = bench_number(argv[4]);
        text = malloc(size);
        bench_check(text ? crypto_init() : -ENOMEM, "memory");
        memset(text, 'x', size);
        f.text = (Bytes){.data = text, .size = size};
        bench_check(sd_event_new(&event), "event loop");
        bench_check(loop_sd_event_new(event, &f.loop), "loop");
        filler_open(&f, argv[1], argv[2]);
        fill(&f, bench_number(argv[3]));
        identity_done(&f.self);
        store_close(f.store);
        loop_sd_event_free(f.loop);
        sd_event_unref(event);
        buffer_done(&f.record);
        buffer_done(&f.inner);
        free(text);
        return 0;
}
