/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Decodes a frame by its type and encodes what came out again.
 */

#include "room-echo.h"
#include "wire/account.h"
#include "wire/handover.h"
#include "wire/mailbox.h"

/* OK says nothing about which request it answers. */
typedef enum EchoOk {
        ECHO_OK_EMPTY,
        ECHO_OK_LOOKUP,
        ECHO_OK_LIST,
        ECHO_OK_DEPOSIT,
        ECHO_OK_COLLECT,
        ECHO_OK_MAIL_STATUS,
        ECHO_OK_ROOM_LOOKUP,
        ECHO_OK_ROOM_LIST,
        ECHO_OK_OPRF,
        ECHO_OK_LOGIN,
        _ECHO_OK_MAX,
} EchoOk;

static inline int echo_hello(Frame *f, Buffer *out) {
        uint64_t heartbeat = echo_uint(f, 8);
        Hello h;
        int r;

        r = hello_decode(f, &h);
        if (r < 0)
                return r;
        r = hello_encode(out, &h);
        return r < 0 ? r : heartbeat != h.heartbeat ? ECHO_LOSSY : 0;
}

static inline int echo_refusal(Frame *f, Buffer *out) {
        char text[REASON_TEXT_MAX + 1] = {};
        Refusal x;
        int r;

        r = refusal_decode(f, &x);
        if (r < 0)
                return r;
        memcpy(text, x.text.data, x.text.size);
        if (f->type == FRAME_BYE)
                r = bye_encode(out, x.code, text, x.record);
        else
                r = error_encode(out, f->request, x.code, text, x.retry_after);
        if (r < 0)
                return r;
        return x.code == _CODE_MAX || strlen(text) != x.text.size ? ECHO_LOSSY : 0;
}

static inline int echo_statement(Frame *f, Buffer *out) {
        Bytes object, certificate;
        int r;

        if (f->type == FRAME_RECEIPT)
                r = receipt_frame_decode(f, &object, &certificate);
        else
                r = void_frame_decode(f, &object, &certificate);
        if (r < 0)
                return r;
        r = f->type == FRAME_RECEIPT ? receipt_frame_encode(out, object)
                                     : void_frame_encode(out, object);
        return r < 0 ? r : certificate.size > 0 ? ECHO_LOSSY : 0;
}

static inline int echo_link(Frame *f, Buffer *out) {
        static Uuid ids[ACK_IDS_MAX];
        MessageFrame m;
        Nack nack;
        size_t n;
        bool on;
        int r;

        switch (f->type) {
        case FRAME_MESSAGE:
                r = message_decode(f, &m);
                return r < 0 ? r : message_encode(out, &m);
        case FRAME_ACK:
                r = ack_decode(f, ids, &n);
                return r < 0 ? r : ack_encode(out, ids, n);
        case FRAME_NACK:
                r = nack_decode(f, &nack);
                if (r == 0)
                        r = nack_encode(out, &nack);
                return r < 0 ? r : nack.code == _CODE_MAX ? ECHO_LOSSY : 0;
        case FRAME_TYPING:
                r = typing_decode(f, &on);
                return r < 0 ? r : typing_encode(out, on);
        default:
                return echo_statement(f, out);
        }
}

static inline int echo_handover(Frame *f, Buffer *out) {
        HandoverFrame h;
        int r;

        r = handover_decode(f, &h);
        return r < 0 ? r : handover_encode(out, &h);
}

static inline int echo_list_peers(Frame *f, Buffer *out) {
        uint64_t limit = echo_uint(f, 4);
        ListPeers l;
        int r;

        r = list_peers_decode(f, &l);
        if (r < 0)
                return r;
        r = list_peers_encode(out, f->request, &l);
        return r < 0 ? r : limit != l.limit ? ECHO_LOSSY : 0;
}

static inline int echo_tracker(Frame *f, Buffer *out) {
        static uint8_t accounts[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE];
        PresencePush push;
        Publish publish;
        Lookup lookup;
        Bytes record;
        Watch watch;
        int r;

        switch (f->type) {
        case FRAME_REGISTER:
        case FRAME_RECORD:
                r = record_frame_decode(f, &record);
                return r < 0 ? r : record_frame_encode(out, (FrameType)f->type, f->request, record);
        case FRAME_PUBLISH:
                r = publish_decode(f, &publish);
                return r < 0 ? r : publish_encode(out, f->request, &publish);
        case FRAME_LOOKUP:
                r = lookup_decode(f, &lookup);
                return r < 0 ? r : lookup_encode(out, f->request, &lookup);
        case FRAME_LIST_PEERS:
                return echo_list_peers(f, out);
        case FRAME_WATCH:
                r = watch_decode(f, accounts, &watch);
                return r < 0 ? r : watch_encode(out, f->request, &watch);
        default:
                r = presence_push_decode(f, &push);
                return r < 0 ? r : presence_push_encode(out, &push);
        }
}

static inline int echo_collect(Frame *f, Buffer *out) {
        uint64_t limit = echo_uint(f, 4);
        Collect c;
        int r;

        r = collect_decode(f, &c);
        if (r < 0)
                return r;
        r = collect_encode(out, f->request, &c);
        return r < 0 ? r : limit != c.limit ? ECHO_LOSSY : 0;
}

static inline int echo_mailbox(Frame *f, Buffer *out) {
        static uint8_t ids[COLLECTED_MAX][SHA256_SIZE];
        Collected collected;
        Withdraw withdraw;
        MailStatus status;
        Deposit deposit;
        uint64_t items;
        int r;

        switch (f->type) {
        case FRAME_DEPOSIT:
                r = deposit_decode(f, &deposit);
                return r < 0 ? r : deposit_encode(out, f->request, &deposit);
        case FRAME_COLLECT:
                return echo_collect(f, out);
        case FRAME_COLLECTED:
                r = collected_decode(f, ids, &collected);
                return r < 0 ? r : collected_encode(out, f->request, &collected);
        case FRAME_MAIL_STATUS:
                r = mail_status_decode(f, &status);
                return r < 0 ? r : mail_status_encode(out, f->request, &status);
        case FRAME_WITHDRAW:
                r = withdraw_decode(f, &withdraw);
                return r < 0 ? r : withdraw_encode(out, f->request, &withdraw);
        default:
                r = mail_waiting_decode(f, &items);
                return r < 0 ? r : mail_waiting_encode(out, items);
        }
}

static inline int echo_account(Frame *f, Buffer *out) {
        uint8_t signature[SIGNATURE_SIZE];
        OprfRequest oprf;
        Bytes statement;
        int r;

        switch (f->type) {
        case FRAME_OPRF:
                r = oprf_request_decode(f, &oprf);
                return r < 0 ? r : oprf_request_encode(out, f->request, &oprf);
        case FRAME_LOGIN:
                r = login_decode(f, signature);
                return r < 0 ? r : login_encode(out, f->request, signature);
        default:
                r = account_decode(f, &statement);
                return r < 0 ? r : account_encode(out, f->request, statement);
        }
}

static inline int echo_ok(Frame *f, Buffer *out, EchoOk kind) {
        static ListPeersAnswer list;
        static CollectAnswer collect;
        MailStatusAnswer status;
        DepositAnswer deposit;
        LookupAnswer lookup;
        LoginAnswer login;
        OprfAnswer oprf;
        int r;

        switch (kind) {
        case ECHO_OK_ROOM_LOOKUP:
                return echo_ok_room_lookup(f, out);
        case ECHO_OK_ROOM_LIST:
                return echo_ok_room_list(f, out);
        case ECHO_OK_OPRF:
                r = oprf_answer_decode(f, &oprf);
                return r < 0 ? r : oprf_answer_encode(out, f->request, &oprf);
        case ECHO_OK_LOGIN:
                r = login_answer_decode(f, &login);
                return r < 0 ? r : login_answer_encode(out, f->request, &login);
        case ECHO_OK_LOOKUP:
                r = lookup_answer_decode(f, &lookup);
                return r < 0 ? r : lookup_answer_encode(out, f->request, &lookup);
        case ECHO_OK_LIST:
                r = list_peers_answer_decode(f, &list);
                return r < 0 ? r : list_peers_answer_encode(out, f->request, &list);
        case ECHO_OK_DEPOSIT:
                r = deposit_answer_decode(f, &deposit);
                return r < 0 ? r : deposit_answer_encode(out, f->request, &deposit);
        case ECHO_OK_COLLECT:
                r = collect_answer_decode(f, &collect);
                return r < 0 ? r : collect_answer_encode(out, f->request, &collect);
        case ECHO_OK_MAIL_STATUS:
                r = mail_status_answer_decode(f, &status);
                return r < 0 ? r : mail_status_answer_encode(out, f->request, &status);
        default:
                r = frame_decode_empty(f);
                return r < 0 ? r : frame_put_empty(out, FRAME_OK, f->request);
        }
}

/* The error of the decoder; 0 with the frame as encoded again in OUT; or ECHO_LOSSY. */
static inline int frame_echo(Frame *f, EchoOk ok, Buffer *out) {
        Bytes presence;
        HelloOk h;
        Grant g;
        int r;

        switch (f->type) {
        case FRAME_HELLO:
                return echo_hello(f, out);
        case FRAME_HELLO_OK:
                r = hello_ok_decode(f, &h);
                return r < 0 ? r : hello_ok_encode(out, &h);
        case FRAME_GRANT:
                r = grant_decode(f, &g);
                return r < 0 ? r : grant_encode(out, &g);
        case FRAME_ANNOUNCE:
                r = announce_decode(f, &presence);
                return r < 0 ? r : announce_encode(out, presence);
        case FRAME_BYE:
        case FRAME_ERROR:
                return echo_refusal(f, out);
        case FRAME_OK:
                return echo_ok(f, out, ok);
        case FRAME_MESSAGE ... FRAME_TYPING:
                return echo_link(f, out);
        case FRAME_REGISTER:
        case FRAME_PUBLISH ... FRAME_WATCH:
        case FRAME_PRESENCE:
        case FRAME_RECORD:
                return echo_tracker(f, out);
        case FRAME_DEPOSIT ... FRAME_WITHDRAW:
        case FRAME_MAIL_WAITING:
                return echo_mailbox(f, out);
        case FRAME_OPRF:
        case FRAME_LOGIN:
        case FRAME_ACCOUNT:
                return echo_account(f, out);
        case FRAME_HANDOVER:
                return echo_handover(f, out);
        case FRAME_ROOM_SYNC:
        case FRAME_ROOM_ENTRIES:
        case FRAME_ROOM_PUBLISH ... FRAME_ROOM_LIST:
        case FRAME_ROOM_UPDATE:
                return echo_room(f, out);
        default:
                r = frame_decode_empty(f);
                return r < 0 ? r : frame_put_empty(out, (FrameType)f->type, f->request);
        }
}
