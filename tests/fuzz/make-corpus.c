/* SPDX-License-Identifier: GPL-3.0-or-later */

/* make-corpus DIR: writes one input for each object and frame of the protocol into the folders
 * account, cbor, frame, mail, messages, identity and rooms of DIR, and some that are refused. For
 * the first corpora, and for new ones when the format grows. */

#include <stdio.h>

#include "../unit/account-sample.h"
#include "../unit/frame-echo.h"
#include "../unit/room-sample.h"
#include "util/fs.h"

static const char *dir;

static void write_input(const char *fuzzer, const char *name, int first, Bytes rest) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        char path[4096];
        uint8_t byte = (uint8_t)first;
        FILE *f;

        if (first >= 0)
                sample_must(buffer_append(&b, &byte, 1));
        sample_must(buffer_append(&b, rest.data, rest.size));
        snprintf(path, sizeof(path), "%s/%s", dir, fuzzer);
        sample_must(fs_mkdir_p(path));
        snprintf(path, sizeof(path), "%s/%s/%s", dir, fuzzer, name);
        f = fopen(path, "w");
        if (!f || fwrite(b.data, 1, b.end, f) != b.end || fclose(f) != 0) {
                perror(path);
                exit(1);
        }
}

/* Takes the frame. */
static void frame(const char *name, EchoOk ok, int r, Buffer *b) {
        Bytes all = sample_bytes(b),
              body = {.data = all.data + FRAME_HEAD_SIZE, .size = all.size - FRAME_HEAD_SIZE};

        sample_must(r);
        write_input("messages", name, (int)ok, all);
        write_input("frame", name, -1, all);
        write_input("cbor", name, -1, body);
        buffer_done(b);
}

static void object(const char *name, int which, const Buffer *b) {
        char text[64];
        Signed s;

        sample_must(signed_decode(sample_bytes(b), &s));
        write_input("identity", name, which, sample_bytes(b));
        snprintf(text, sizeof(text), "%s-body", name);
        write_input("identity", text, which | 0x80, s.body);
        write_input("cbor", text, -1, s.body);
}

static void write_objects(const Buffer *certificate, const Buffer *record, const Buffer *presence,
        const Buffer *token, const Buffer *rekey) {
        _cleanup_(buffer_done) Buffer person = sample_beacon_object(BEACON_PERSON, 1);
        _cleanup_(buffer_done) Buffer tracker = sample_beacon_object(BEACON_TRACKER, 1);
        _cleanup_(buffer_done) Buffer rc = BUFFER_NULL, v = BUFFER_NULL;
        SignKey device = sample_key(2);
        Receipt receipt = sample_receipt();
        Void voided = sample_void();

        sample_must(receipt_encode(&rc, &receipt, &device));
        sample_must(void_encode(&v, &voided, &device));
        object("certificate", 0, certificate);
        object("record", 1, record);
        object("presence", 2, presence);
        object("receipt", 3, &rc);
        object("void", 4, &v);
        object("deposit-token", 5, token);
        object("rekey", 6, rekey);
        object("beacon-person", 7, &person);
        object("beacon-tracker", 7, &tracker);
}

static void write_link_frames(Bytes certificate, Bytes record, Bytes presence) {
        static const uint8_t signature[SIGNATURE_SIZE] = {5};
        _cleanup_(buffer_done) Buffer in = BUFFER_NULL;
        Hello hello = sample_hello(certificate, record);
        HelloOk ok = sample_hello_ok(sample_text("receipt"), presence);
        Inner inner = sample_inner_full(1, 3);
        Nack nack = {.id.bytes = {1}, .code = CODE_FORK, .retry_after = 60};
        Uuid ids[2] = {{{1}}, {{2}}};
        Buffer b = BUFFER_NULL;
        MessageFrame m;

        sample_must(inner_encode(&in, &inner));
        m = sample_message(sample_bytes(&in), signature, certificate);
        frame("hello", 0, hello_encode(&b, &hello), &b);
        frame("hello-ok", 0, hello_ok_encode(&b, &ok), &b);
        frame("bye", 0, bye_encode(&b, CODE_REPLACED, "elsewhere", record), &b);
        frame("error", 0, error_encode(&b, 9, CODE_RATE_LIMITED, "slower", 300), &b);
        frame("ping", 0, frame_put_empty(&b, FRAME_PING, 0), &b);
        frame("ok", 0, frame_put_empty(&b, FRAME_OK, 1), &b);
        frame("message", 0, message_encode(&b, &m), &b);
        frame("ack", 0, ack_encode(&b, ids, ELEMENTSOF(ids)), &b);
        frame("nack", 0, nack_encode(&b, &nack), &b);
        frame("receipt", 0, receipt_frame_encode(&b, sample_text("receipt")), &b);
        frame("void", 0, void_frame_encode(&b, sample_text("void")), &b);
}

/* Messages whose frame is right and whose inside is not. */
static void write_refused_message(const char *name, const Inner *inner) {
        _cleanup_(buffer_done) Buffer in = BUFFER_NULL, b = BUFFER_NULL;
        MessageFrame m;

        sample_must(inner_encode(&in, inner));
        m = (MessageFrame){.inner = sample_bytes(&in)};
        sample_must(message_encode(&b, &m));
        write_input("messages", name, 0, sample_bytes(&b));
}

static void write_refused_messages(void) {
        Inner no_seq = sample_inner(1, 3), no_id = no_seq, late = no_seq, long_lived = no_seq;

        no_seq.seq = 0;
        no_id.id = (Uuid){};
        late.expires = late.sent = MESSAGE_TIME_MAX + 1;
        long_lived.expires = long_lived.sent + MESSAGE_LIFETIME_MAX + 1;
        write_refused_message("message-without-seq", &no_seq);
        write_refused_message("message-without-id", &no_id);
        write_refused_message("message-beyond-time", &late);
        write_refused_message("message-that-lives-long", &long_lived);
}

static void write_tracker_frames(Bytes record, Bytes presence) {
        static ListPeersAnswer list;
        static const uint8_t accounts[3][KEY_SIZE] = {{1}, {2}, {3}};
        Publish publish = {.presence = presence, .record = record};
        Lookup by_name = {.name = "bob"},
               by_account = {.account = {1}, .token = sample_text("token")};
        LookupAnswer answer = {.record = record, .presence = presence, .last_seen = SAMPLE_TIME};
        ListPeers ask = {.after = sample_text("alice"), .limit = 50, .online = true};
        Watch watch = {.add = {.data = accounts[0], .size = (size_t)2 * KEY_SIZE},
                .remove = {.data = accounts[2], .size = KEY_SIZE},
                .tokens = {sample_text("one"), sample_text("two")},
                .n_tokens = 2};
        Grant grant = {.deposit_token = sample_text("token"),
                .presence_key = {.data = accounts[0], .size = KEY_SIZE}};
        PresencePush push = {.account = {1}, .online = true, .last_seen = 5, .presence = presence};
        Buffer b = BUFFER_NULL;

        list = (ListPeersAnswer){.n_peers = 2, .after = sample_text("bob")};
        list.peers[0].record = list.peers[1].record = record;
        list.peers[1].presence = presence;
        frame("register", 0, record_frame_encode(&b, FRAME_REGISTER, 1, record), &b);
        frame("push-record", 0, record_frame_encode(&b, FRAME_RECORD, 0, record), &b);
        frame("publish", 0, publish_encode(&b, 2, &publish), &b);
        frame("lookup-name", 0, lookup_encode(&b, 3, &by_name), &b);
        frame("lookup-account", 0, lookup_encode(&b, 4, &by_account), &b);
        frame("lookup-answer", ECHO_OK_LOOKUP, lookup_answer_encode(&b, 4, &answer), &b);
        frame("list", 0, list_peers_encode(&b, 5, &ask), &b);
        frame("list-answer", ECHO_OK_LIST, list_peers_answer_encode(&b, 5, &list), &b);
        frame("grant", 0, grant_encode(&b, &grant), &b);
        frame("typing", 0, typing_encode(&b, true), &b);
        frame("announce", 0, announce_encode(&b, presence), &b);
        frame("watch", 0, watch_encode(&b, 6, &watch), &b);
        frame("push-presence", 0, presence_push_encode(&b, &push), &b);
}

static void write_mailbox_frames(Bytes envelope, Bytes token, Bytes rekey, Bytes record) {
        static const uint8_t ids[2][SHA256_SIZE] = {{1}, {2}};
        Deposit by_token = sample_deposit(envelope, token), by_stamp = by_token;
        DepositAnswer kept = {.replicas = 1}, superseded = {.record = record};
        Collect collect = {.after = sample_text("after"), .limit = COLLECT_MAX};
        CollectAnswer page = {.items = {{envelope, SAMPLE_TIME}, {token, 1}},
                .n_items = 2,
                .after = sample_text("more")};
        Collected done = {.ids = {.data = ids[0], .size = sizeof(ids)}, .rekey = rekey};
        MailStatus status = {.account = {1}, .ids = {{1}, {2}}, .n_ids = 2};
        MailStatusAnswer states = {.items = {{MAIL_HELD, rekey}, {MAIL_GONE}}, .n_items = 2};
        Withdraw withdraw = {.account = {1}, .id = {2}, .secret = {3}};
        Buffer b = BUFFER_NULL;

        by_stamp.token = (Bytes){};
        by_stamp.has_stamp = true;
        by_stamp.stamp = 0x123456789;
        frame("deposit", 0, deposit_encode(&b, 1, &by_token), &b);
        frame("deposit-stamp", 0, deposit_encode(&b, 1, &by_stamp), &b);
        frame("deposit-answer", ECHO_OK_DEPOSIT, deposit_answer_encode(&b, 1, &kept), &b);
        frame("deposit-refused", ECHO_OK_DEPOSIT, deposit_answer_encode(&b, 1, &superseded), &b);
        frame("collect", 0, collect_encode(&b, 2, &collect), &b);
        frame("collect-answer", ECHO_OK_COLLECT, collect_answer_encode(&b, 2, &page), &b);
        frame("collected", 0, collected_encode(&b, 3, &done), &b);
        frame("mail-status", 0, mail_status_encode(&b, 4, &status), &b);
        frame("mail-status-answer", ECHO_OK_MAIL_STATUS, mail_status_answer_encode(&b, 4, &states),
                &b);
        frame("withdraw", 0, withdraw_encode(&b, 5, &withdraw), &b);
        frame("push-mail-waiting", 0, mail_waiting_encode(&b, 6), &b);
}

/* A content as it is sealed, and the same without its padding, for the fuzzer to pad. */
static void write_content(const char *name, const Content *c) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        char text[64];
        CborReader r;
        Bytes in;

        sample_must(content_encode(&b, c));
        in = sample_bytes(&b);
        write_input("mail", name, 1, in);
        r = cbor_reader(in.data, in.size);
        cbor_skip(&r);
        in.size = (size_t)(r.p - in.data);
        snprintf(text, sizeof(text), "%s-item", name);
        write_input("mail", text, 1 | 0x80, in);
}

static void write_mail(Bytes envelope, Bytes certificate, Bytes record, Bytes token) {
        Content message = sample_content(certificate, record, token),
                receipt = {
                        .kind = CONTENT_RECEIPT,
                        .body = sample_text("receipt"),
                        .certificate = certificate,
                };

        write_input("mail", "envelope", 0, envelope);
        write_input("mail", "plaintext", 2, sample_text("what is sealed"));
        write_content("message", &message);
        write_content("receipt", &receipt);
}

/* As it is, and its body alone. */
static void room_object(const char *name, int which, Buffer b) {
        char text[64];
        Signed s;

        sample_must(signed_decode(sample_bytes(&b), &s));
        write_input("rooms", name, which, sample_bytes(&b));
        snprintf(text, sizeof(text), "%s-body", name);
        write_input("rooms", text, which | 0x80, s.body);
        buffer_done(&b);
}

static void write_room_objects(void) {
        _cleanup_(buffer_done) Buffer fork = sample_fork_object(), wrap = BUFFER_NULL;
        _cleanup_(buffer_done) Buffer head = BUFFER_NULL,
                                      certificate = sample_certificate_object(3);
        const RoomHead h = {.epoch = 300, .hash = {1}};
        RoomRecord founders = sample_room_record(3, sample_bytes(&certificate));
        SignKey device = sample_key(4);
        RoomWrap w = sample_wrap();
        Buffer b = BUFFER_NULL;
        char name[32];

        room_object("block", 0, sample_block_object(sample_block()));
        room_object("genesis", 0, sample_block_object(sample_genesis()));
        for (RoomChangeType t = ROOM_CHANGE_ADD; t < _ROOM_CHANGE_MAX; t++) {
                if (t == ROOM_CHANGE_DELETE || t == ROOM_CHANGE_OFFER)
                        continue;
                snprintf(name, sizeof(name), "proposal-%u", (unsigned)t);
                room_object(name, 1, sample_proposal_object(t));
        }
        room_object("record", 2, sample_room_record_object());
        memcpy(founders.founder, founders.owner, KEY_SIZE);
        room_id(founders.founder, founders.nonce, founders.room);
        sample_must(room_record_encode(&b, &founders, &device));
        room_object("founders-record", 2, b);
        room_object("notice", 3, sample_notice_object());
        sample_must(room_wrap_encode(&wrap, &w));
        sample_must(room_head_encode(&head, &h));
        write_input("rooms", "fork", 4, sample_bytes(&fork));
        write_input("rooms", "wrap", 5, sample_bytes(&wrap));
        write_input("rooms", "head", 6, sample_bytes(&head));
        write_input("rooms", "text", 7, sample_text("tea is ready"));
}

static void write_room_links(void) {
        static const uint8_t signatures[2][SIGNATURE_SIZE] = {{1}, {2}};
        static RoomEntries e;
        Buffer b = BUFFER_NULL;
        char name[32];

        for (RoomSyncOp op = ROOM_SYNC_STATE; op < _ROOM_SYNC_MAX; op++) {
                RoomSync s = sample_sync_full(op);

                snprintf(name, sizeof(name), "room-sync-%u", (unsigned)op);
                frame(name, 0, room_sync_encode(&b, &s), &b);
        }
        e = (RoomEntries){.n_items = 2, .done = true};
        for (size_t i = 0; i < 2; i++)
                e.items[i] = (RoomEntriesItem){
                        sample_text("INNER"), signatures[i], sample_text("certificate")};
        frame("room-entries", 0, room_entries_encode(&b, &e), &b);
        e = (RoomEntries){.done = true};
        frame("room-entries-none", 0, room_entries_encode(&b, &e), &b);
}

static void write_room_directory(void) {
        _cleanup_(buffer_done) Buffer rec = sample_room_record_object();
        static RoomPublish publish;
        static RoomLookupAnswer answer;
        static RoomListAnswer page;
        static RoomUpdate update;
        RoomLookup by_name = {.name = "tea", .has_door = true, .door = {1}}, by_id = {.room = {1}};
        RoomList list = {.words = sample_text("tea"), .after = sample_text("sugar"), .limit = 9};
        Buffer b = BUFFER_NULL;

        publish = (RoomPublish){.record = sample_bytes(&rec), .n_enter = 2, .n_leave = 1};
        publish.enter[1].has_door = true;
        answer = (RoomLookupAnswer){.record = sample_bytes(&rec), .n_online = 2, .count = 300};
        page = (RoomListAnswer){.n_rooms = 1, .after = sample_text("tea")};
        page.rooms[0].record = sample_bytes(&rec);
        update = (RoomUpdate){.record = sample_bytes(&rec), .n_accounts = 2, .state = 3};
        frame("room-publish", 0, room_publish_encode(&b, 1, &publish), &b);
        frame("room-lookup-name", 0, room_lookup_encode(&b, 2, &by_name), &b);
        frame("room-lookup-id", 0, room_lookup_encode(&b, 3, &by_id), &b);
        frame("room-lookup-answer", ECHO_OK_ROOM_LOOKUP, room_lookup_answer_encode(&b, 3, &answer),
                &b);
        frame("room-list", 0, room_list_encode(&b, 4, &list), &b);
        frame("room-list-answer", ECHO_OK_ROOM_LIST, room_list_answer_encode(&b, 4, &page), &b);
        frame("room-update", 0, room_update_encode(&b, &update), &b);
}

static void account_object(const char *name, Buffer b) {
        char text[64];
        Signed s;

        sample_must(signed_decode(sample_bytes(&b), &s));
        write_input("account", name, 0, sample_bytes(&b));
        snprintf(text, sizeof(text), "%s-body", name);
        write_input("account", text, 0x80, s.body);
        buffer_done(&b);
}

/* What account_backup_seal() seals. */
static void write_backup(void) {
        _cleanup_(buffer_done) Buffer sealed = sample_sealed_backup(1), plain = BUFFER_NULL;
        AccountBackup x = sample_backup(1);
        CborWriter w = cbor_writer(&plain);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, 1);
        cbor_pair_bytes(&w, 1, x.seed, KEY_SIZE);
        cbor_pair_text(&w, 2, x.name);
        cbor_pair_uint(&w, 3, x.epoch);
        cbor_pair_uint(&w, 4, x.record_seq);
        cbor_pair_uint(&w, 5, x.made);
        cbor_map_end(&w);
        sample_must(w.error);
        write_input("account", "backup", 1, sample_bytes(&sealed));
        write_input("account", "backup-body", 0x81, sample_bytes(&plain));
}

static void write_accounts(Bytes record) {
        _cleanup_(buffer_done) Buffer statement = sample_statement_object(1, true);
        static const uint8_t signature[SIGNATURE_SIZE] = {1};
        OprfRequest by_name = {.name = "alice", .blinded = {1}},
                    enrol = {.account = {2}, .blinded = {3}, .enrol = true};
        OprfAnswer evaluated = {.evaluated = {4}, .key_id = 300, .memory = 262144, .passes = 3};
        LoginAnswer answer = {.statement = sample_bytes(&statement), .record = record};
        Buffer b = BUFFER_NULL;

        account_object("statement", sample_statement_object(1, true));
        account_object("statement-without", sample_statement_object(1, false));
        account_object("statement-deleted", sample_deletion_object(1));
        write_backup();
        frame("oprf-name", 0, oprf_request_encode(&b, 1, &by_name), &b);
        frame("oprf-enrol", 0, oprf_request_encode(&b, 2, &enrol), &b);
        frame("oprf-answer", ECHO_OK_OPRF, oprf_answer_encode(&b, 2, &evaluated), &b);
        frame("login", 0, login_encode(&b, 3, signature), &b);
        frame("login-answer", ECHO_OK_LOGIN, login_answer_encode(&b, 3, &answer), &b);
        frame("account", 0, account_encode(&b, 4, sample_bytes(&statement)), &b);
}

#define LITERAL(s) ((Bytes){.data = (const uint8_t *)(s), .size = sizeof(s) - 1})

static void write_refused(void) {
        write_input("cbor", "all-types", -1,
                LITERAL("\x88\x18\x64\x38\x63\x42\1\2\x62\xc3\xbc\xf4\xf5\xf6\xa0"));
        write_input("cbor", "deep", -1, LITERAL("\x81\x81\x81\x81\x81\x81\x81\x81\x80"));
        write_input("cbor", "long-head", -1, LITERAL("\x19\x00\x17"));
        write_input("cbor", "indefinite", -1, LITERAL("\x9f\x01\xff"));
        write_input("cbor", "huge", -1, LITERAL("\xbb\x80\0\0\0\0\0\0\0"));
        write_input("cbor", "duplicate", -1, LITERAL("\xa2\x01\x00\x01\x00"));
        write_input(
                "frame", "two", -1, LITERAL("\0\0\0\x03\xa1\0\x03\0\0\0\x05\xa2\0\x04\x01\x07"));
        write_input("frame", "ignorable", -1, LITERAL("\0\0\0\x07\xa2\0\x18\x80\x18\x40\x05"));
        write_input("frame", "unknown", -1, LITERAL("\0\0\0\x04\xa1\0\x18\x7f"));
        write_input("frame", "over-cap", -1, LITERAL("\0\x01\0\x01\xa1\0\x03"));
        write_input("messages", "ignorable", 0, LITERAL("\0\0\0\x06\xa2\0\x03\x18\x40\x05"));
}

int main(int argc, char **argv) {
        _cleanup_(buffer_done) Buffer c = sample_certificate_object(1);
        _cleanup_(buffer_done) Buffer rec = sample_record_object(1);
        _cleanup_(buffer_done) Buffer p = sample_presence_object(1);
        _cleanup_(buffer_done) Buffer e = sample_envelope_bytes();
        _cleanup_(buffer_done) Buffer t = sample_deposit_token_object(1);
        _cleanup_(buffer_done) Buffer k = sample_rekey_object(1);

        if (argc != 2) {
                fprintf(stderr, "usage: make-corpus DIR\n");
                return 2;
        }
        dir = argv[1];
        write_objects(&c, &rec, &p, &t, &k);
        write_link_frames(sample_bytes(&c), sample_bytes(&rec), sample_bytes(&p));
        write_tracker_frames(sample_bytes(&rec), sample_bytes(&p));
        write_mailbox_frames(
                sample_bytes(&e), sample_bytes(&t), sample_bytes(&k), sample_bytes(&rec));
        write_mail(sample_bytes(&e), sample_bytes(&c), sample_bytes(&rec), sample_bytes(&t));
        write_room_objects();
        write_room_links();
        write_room_directory();
        write_accounts(sample_bytes(&rec));
        write_refused();
        write_refused_messages();
        return 0;
}
