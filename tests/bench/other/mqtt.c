/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * mqtt PORT QOS COUNT WINDOW SIZE: messages through an MQTT 3.1.1 server (OASIS, 2014), with
 * quality of service 1 or 2 on both ways, to a subscriber whose session outlives its connection.
 */

#include <arpa/inet.h>

#include "talk.h"

enum {
        CONNECT = 0x10,
        CONNACK = 0x20,
        PUBLISH = 0x30,
        PUBACK = 0x40,
        PUBREC = 0x50,
        PUBREL = 0x62,
        PUBCOMP = 0x70,
        SUBSCRIBE = 0x82,
        SUBACK = 0x90,
        DISCONNECT = 0xe0,
};

#define TOPIC "bench"
#define IDS 60000 /* of messages, used in turn */

static Work work;
static uint8_t qos;
static uint8_t last; /* CONNACK or SUBACK, when one has come */

/* TYPE with the two parts of its body, of less than 16 KiB. */
static void say(Talker *t, uint8_t type, const void *a, size_t n_a, const void *b, size_t n_b) {
        size_t n = n_a + n_b;
        uint8_t head[3] = {type, (uint8_t)(n % 128 + (n >= 128 ? 128 : 0)), (uint8_t)(n / 128)};

        talker_say(t, head, n >= 128 ? 3 : 2);
        talker_say(t, a, n_a);
        talker_say(t, b, n_b);
}

static void say_id(Talker *t, uint8_t type, uint16_t id) {
        uint16_t value = htons(id);

        say(t, type, &value, sizeof(value), NULL, 0);
}

static void say_publish(Talker *t, size_t number, const char *text, size_t size) {
        uint8_t head[] = {0, 5, 'b', 'e', 'n', 'c', 'h', 0, 0};
        uint16_t id = htons((uint16_t)(1 + number % IDS));

        memcpy(head + 7, &id, sizeof(id));
        say(t, PUBLISH | (uint8_t)(qos << 1), head, sizeof(head), text, size);
}

static void take_publish(Talker *t, const uint8_t *body) {
        size_t topic = (size_t)(body[0] << 8 | body[1]);
        uint16_t id = (uint16_t)(body[2 + topic] << 8 | body[3 + topic]);

        if (qos == 1)
                work_received(&work);
        say_id(t, qos == 1 ? PUBACK : PUBREC, id);
}

/* A whole packet; what each end is told, and says to that. */
static void take(Talker *t, uint8_t type, const uint8_t *body) {
        switch (type & 0xf0) {
        case PUBLISH & 0xf0:
                take_publish(t, body);
                break;
        case PUBACK & 0xf0:
        case PUBCOMP & 0xf0:
                work_answered(&work);
                break;
        case PUBREC & 0xf0:
                say_id(t, PUBREL, (uint16_t)(body[0] << 8 | body[1]));
                break;
        case PUBREL & 0xf0:
                work_received(&work);
                say_id(t, PUBCOMP, (uint16_t)(body[0] << 8 | body[1]));
                break;
        default:
                last = type;
                break;
        }
}

/* Size of the first packet, with RET_HEAD bytes before its body; 0: not all of it is here. */
static size_t packet_size(const Talker *t, size_t at, size_t *ret_head) {
        size_t n = 0, i = 1;

        for (unsigned shift = 0;; i++, shift += 7) {
                if (at + i >= t->n_in)
                        return 0;
                n |= (size_t)(t->in[at + i] & 127) << shift;
                if (t->in[at + i] < 128)
                        break;
        }
        *ret_head = i + 1;
        return at + i + 1 + n <= t->n_in ? i + 1 + n : 0;
}

static void take_all(Talker *t) {
        size_t at = 0, head, n;

        while ((n = packet_size(t, at, &head)) > 0) {
                take(t, t->in[at], t->in + at + head);
                at += n;
        }
        talker_consume(t, at);
}

/* Waits for the answer to what was said; something from before may come first. */
static void await(Talker *t, Talker *other, uint8_t type) {
        for (last = 0; last != type; take_all(t))
                talkers_turn(t, other);
}

static void join(Talker *t, Talker *other, char name) {
        uint8_t hello[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 60, 0, 1, (uint8_t)name};

        say(t, CONNECT, hello, sizeof(hello), NULL, 0);
        await(t, other, CONNACK);
}

int main(int argc, char **argv) {
        static Talker alice, bob;
        uint8_t subscribe[] = {0, 1, 0, 5, 'b', 'e', 'n', 'c', 'h', 0};
        char *text;

        if (argc != 6) {
                fprintf(stderr, "usage: mqtt PORT QOS COUNT WINDOW SIZE\n");
                return 2;
        }
        qos = (uint8_t)bench_number(argv[2]);
        talker_open(&alice, argv[1]);
        talker_open(&bob, argv[1]);
        join(&alice, &bob, 'a');
        join(&bob, &alice, 'b');
        subscribe[sizeof(subscribe) - 1] = qos;
        say(&bob, SUBSCRIBE, subscribe, sizeof(subscribe), NULL, 0);
        await(&bob, &alice, SUBACK);
        work_begin(&work, argv[3], argv[4], argv[5]);
        text = calloc(1, work.size);
        if (!text)
                bench_check(-ENOMEM, "memory");
        while (!work_is_over(&work)) {
                while (work_take(&work))
                        say_publish(&alice, work.sent, text, work.size);
                talkers_turn(&alice, &bob);
                take_all(&alice);
                take_all(&bob);
        }
        work_print(&work);
        say(&alice, DISCONNECT, NULL, 0, NULL, 0);
        say(&bob, DISCONNECT, NULL, 0, NULL, 0);
        talker_close(&alice);
        talker_close(&bob);
        free(text);
        return 0;
}
