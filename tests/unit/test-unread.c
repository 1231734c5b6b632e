/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is announced of a message: as long as it is neither read nor answered. */

#include "test.h"

#include "chat-lab.h"
#include "store/mail.h"
#include "store/message.h"

typedef struct Looked {
        char text[64], from[64];
        unsigned unread;
} Looked;

static Looked looked;

static void on_unread(void *userdata, const ChatMessage *m, unsigned unread) {
        snprintf(looked.text, sizeof(looked.text), "%s", m->text);
        snprintf(looked.from, sizeof(looked.from), "%s", m->from);
        looked.unread = unread;
}

static void on_done(void *userdata, const ChatError *error) {
        CHECK(!error);
}

static void on_id(void *userdata, const ChatError *error, const char *id) {
        CHECK(!error);
}

/* A message of somebody's, written AGO, comes now. */
static void take_in(ChatLab *l, const char *account, uint64_t seq, usec_t ago, char *ret_id) {
        usec_t now = loop_realtime(l->sim.loop);
        const Identity *self = account_identity(l->parts->account);
        _cleanup_(buffer_done) Buffer bytes = BUFFER_NULL;
        static uint8_t hash[SHA256_SIZE]; /* of the one before */
        uint8_t random[10] = {(uint8_t)seq};
        ReceivedAt at;
        Received what;
        Contact peer;
        char text[16];
        Inner m = {.epoch = 1,
                .seq = seq,
                .sent = now - ago,
                .hlc = (now - ago) / USEC_PER_MSEC << 16,
                .expires = now + USEC_PER_DAY,
                .kind = KIND_TEXT};

        CHECK_OK(base32_decode_key(account, strlen(account), m.account));
        CHECK_EQ(contact_get(store_write(l->store), m.account, &peer), 1);
        memset(m.device, 7, KEY_SIZE);
        m.id = uuid_make_v7(now, random);
        m.body = (Bytes){.data = (const uint8_t *)text,
                .size = (size_t)snprintf(text, sizeof(text), "text %u", (unsigned)seq)};
        conversation_direct(sign_key_public(&self->account), m.account, m.conversation);
        if (seq > 1)
                memcpy(m.prev, hash, SHA256_SIZE);
        CHECK_OK(inner_encode(&bytes, &m));
        sha256(buffer_data(&bytes), buffer_size(&bytes), hash);
        CHECK_OK(store_receive(l->store,
                &(NewEntry){.self = self,
                        .from = &peer,
                        .inner = &m,
                        .bytes = buffer_bytes(&bytes),
                        .hash = hash,
                        .now = now},
                &what, &at));
        CHECK_EQ(what, RECEIVED_NEW);
        uuid_format(&m.id, ret_id);
        sim_run(&l->sim, USEC_PER_SEC);
}

static bool is_announced(ChatLab *l, const char *account, const char *id) {
        looked = (Looked){};
        return chat_look_unread(l->chat, account, id, on_unread, NULL) > 0;
}

static void write_to(ChatLab *l, const char *name) {
        chat_send(l->chat, &(ChatSend){.to = name, .text = "an answer"}, on_id, NULL);
        sim_run(&l->sim, USEC_PER_SEC);
}

TEST(a_message_is_announced_until_it_is_read) {
        char bob[BASE32_KEY_SIZE + 1], carol[BASE32_KEY_SIZE + 1], first[UUID_TEXT_SIZE],
                second[UUID_TEXT_SIZE];
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, bob);
        chat_lab_add_contact(&l, "carol", CONTACT_PINNED, carol);
        take_in(&l, bob, 1, 0, first);
        take_in(&l, bob, 2, 0, second);
        CHECK(is_announced(&l, bob, second));
        CHECK_STR(looked.text, "text 2");
        CHECK_STR(looked.from, "bob");
        CHECK_EQ(looked.unread, 2);
        CHECK(!is_announced(&l, carol, second));
        CHECK(!is_announced(&l, bob, "nonsense"));
        CHECK(!is_announced(&l, "nonsense", second));
        chat_mark_read(l.chat, first, on_done, NULL);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK(!is_announced(&l, bob, first));
        CHECK(is_announced(&l, bob, second));
        CHECK_EQ(looked.unread, 1);
        chat_logout(l.chat, on_done, NULL);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK(!is_announced(&l, bob, second));
        chat_lab_free(&l);
}

/* The answer to MarkRead: what is to be told is on disk with it. */
static void on_read(void *userdata, const ChatError *error) {
        ChatLab *l = userdata;
        DbTxn *txn;

        CHECK(!error);
        CHECK_OK(store_read_begin(l->store, &txn));
        CHECK_EQ(mail_count_owed(txn), 1);
        store_read_end(txn);
        l->chat = NULL; /* it was asked */
}

TEST(that_something_was_read_is_owed_when_the_user_has_the_answer) {
        char bob[BASE32_KEY_SIZE + 1], id[UUID_TEXT_SIZE];
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, bob);
        take_in(&l, bob, 1, 0, id);
        chat_mark_read(l.chat, id, on_read, &l);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK(!l.chat);
        chat_lab_free(&l);
}

/* In the order of the conversation the own one may stand last, and yet the other was not seen. */
TEST(only_what_was_written_after_it_came_answers_a_message) {
        char bob[BASE32_KEY_SIZE + 1], early[UUID_TEXT_SIZE], later[UUID_TEXT_SIZE];
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, bob);
        write_to(&l, "bob");
        take_in(&l, bob, 1, USEC_PER_HOUR, early);
        CHECK(is_announced(&l, bob, early));
        write_to(&l, "bob");
        CHECK(!is_announced(&l, bob, early));
        take_in(&l, bob, 2, 0, later);
        CHECK(is_announced(&l, bob, later));
        CHECK_EQ(looked.unread, 2);
        chat_lab_free(&l);
}

TEST(nothing_is_announced_of_who_is_blocked) {
        char bob[BASE32_KEY_SIZE + 1], id[UUID_TEXT_SIZE];
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, bob);
        take_in(&l, bob, 1, 0, id);
        CHECK(is_announced(&l, bob, id));
        chat_block(l.chat, "bob", on_done, NULL);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK(!is_announced(&l, bob, id));
        chat_lab_free(&l);
}
