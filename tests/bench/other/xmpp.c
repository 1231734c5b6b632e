/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * xmpp PORT COUNT WINDOW SIZE: chat messages through an XMPP server (RFC 6120) for "localhost" that
 * lets anybody in. The sender is not answered: a message counts when the recipient has it.
 */

#include "talk.h"

#define STREAM                                                                                     \
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "    \
        "to='localhost' version='1.0'>"

static void say(Talker *t, const char *text) {
        talker_say(t, text, strlen(text));
}

/* Waits until WHAT has come, and consumes all up to its end. */
static void await(Talker *t, Talker *other, const char *what) {
        uint8_t *found;

        while (!(found = memmem(t->in, t->n_in, what, strlen(what))))
                talkers_turn(t, other);
        talker_consume(t, (size_t)(found - t->in) + strlen(what));
}

/* NAME: base64 of "\0alice\0x" and the like. */
static void join(Talker *t, Talker *other, const char *name) {
        say(t, STREAM);
        await(t, other, "</stream:features>");
        say(t, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>");
        say(t, name);
        say(t, "</auth>");
        await(t, other, "<success");
        say(t, STREAM);
        await(t, other, "</stream:features>");
        say(t,
                "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                "<resource>r</resource></bind></iq>");
        await(t, other, "</iq>");
        say(t, "<presence/>");
        await(t, other, "<presence");
}

static void take_all(Talker *t, Work *w) {
        static const char end[] = "</message>";
        uint8_t *from = t->in, *found;

        while ((found = memmem(from, t->n_in - (size_t)(from - t->in), end, strlen(end)))) {
                work_answered(w);
                work_received(w);
                from = found + strlen(end);
        }
        talker_consume(t, (size_t)(from - t->in));
}

int main(int argc, char **argv) {
        static Talker alice, bob;
        char *text;
        Work work;

        if (argc != 5) {
                fprintf(stderr, "usage: xmpp PORT COUNT WINDOW SIZE\n");
                return 2;
        }
        talker_open(&alice, argv[1]);
        talker_open(&bob, argv[1]);
        join(&alice, &bob, "AGFsaWNlAHg=");
        join(&bob, &alice, "AGJvYgB4");
        work_begin(&work, argv[2], argv[3], argv[4]);
        text = calloc(1, work.size + 1);
        if (!text)
                bench_check(-ENOMEM, "memory");
        memset(text, 'x', work.size);
        while (!work_is_over(&work)) {
                while (work_take(&work)) {
                        say(&alice, "<message type='chat' to='bob@localhost/r'><body>");
                        say(&alice, text);
                        say(&alice, "</body></message>");
                }
                talkers_turn(&alice, &bob);
                take_all(&bob, &work);
        }
        work_print(&work);
        say(&alice, "</stream:stream>");
        say(&bob, "</stream:stream>");
        talker_close(&alice);
        talker_close(&bob);
        free(text);
        return 0;
}
