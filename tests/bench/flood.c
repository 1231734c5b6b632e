/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One user writes to another, each over his own session bus.
 *
 *   flood FROM-BUS TO-BUS RECIPIENT COUNT WINDOW SIZE
 *
 * WINDOW calls of Send are kept open. The flood is over when the recipient's client has the signal
 * of every message and the sender's client was told that every one is delivered; the rate counts
 * that whole time. The percentiles are the time from Send until it is answered, and, with a window
 * of 1, where the next message waits until the last one is delivered, until the recipient's client
 * has the signal. With "-" as TO-BUS the recipient is away: it is over when every Send has been
 * answered.
 */

#include <stdbool.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "bench.h"

#define CHAT "org.p2pchat.Chat1"
#define CHAT_PATH "/org/p2pchat/Chat1"

typedef struct Flood {
        sd_event *event;
        sd_bus *from, *to;
        const char *recipient;
        char *text;
        size_t count, window;
        size_t sent, answered, received, delivered;
        uint64_t *answer; /* when each was sent; then how long its answer took, */
        uint64_t *signal; /* and its signal */
} Flood;

typedef struct Call {
        Flood *flood;
        size_t number;
} Call;

static void flood_send(Flood *flood);

static bool flood_is_single(const Flood *flood) {
        return flood->window == 1;
}

static void flood_go_on(Flood *flood) {
        size_t done = flood_is_single(flood) ? flood->delivered : flood->answered;

        if (flood_is_single(flood) && (flood->received < done || flood->answered < done))
                return;
        while (flood->sent < flood->count && flood->sent - done < flood->window)
                flood_send(flood);
        if (flood->answered == flood->count &&
                (!flood->to ||
                        (flood->received == flood->count && flood->delivered == flood->count)))
                sd_event_exit(flood->event, 0);
}

static int on_answer(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Call *call = userdata;
        Flood *flood = call->flood;

        if (sd_bus_message_is_method_error(message, NULL)) {
                fprintf(stderr, "Send: %s\n", sd_bus_message_get_error(message)->message);
                return sd_event_exit(flood->event, 1);
        }
        flood->answer[call->number] = bench_now() - flood->answer[call->number];
        free(call);
        flood->answered++;
        flood_go_on(flood);
        return 0;
}

static void flood_send(Flood *flood) {
        Call *call = malloc(sizeof(*call));
        int r;

        if (!call)
                bench_check(-ENOMEM, "malloc");
        *call = (Call){flood, flood->sent++};
        flood->answer[call->number] = flood->signal[call->number] = bench_now();
        r = sd_bus_call_method_async(flood->from, NULL, CHAT, CHAT_PATH, CHAT, "Send", on_answer,
                call, "ssa{sv}", flood->recipient, flood->text, 0);
        bench_check(r, "Send");
}

static int on_received(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Flood *flood = userdata;

        if (flood->received == flood->sent)
                return 0; /* left over from before */
        flood->signal[flood->received] = bench_now() - flood->signal[flood->received];
        flood->received++;
        flood_go_on(flood);
        return 0;
}

static int on_state(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Flood *flood = userdata;
        const char *id, *to, *state;
        int r;

        r = sd_bus_message_read(message, "sss", &id, &to, &state);
        bench_check(r, "MessageStateChanged");
        if (strcmp(state, "delivered") != 0 || flood->delivered == flood->sent)
                return 0;
        flood->delivered++;
        flood_go_on(flood);
        return 0;
}

static sd_bus *bus_open(sd_event *event, const char *address) {
        sd_bus *bus;

        bench_check(sd_bus_new(&bus), "sd_bus_new");
        bench_check(sd_bus_set_address(bus, address), address);
        bench_check(sd_bus_set_bus_client(bus, true), address);
        bench_check(sd_bus_start(bus), address);
        bench_check(sd_bus_attach_event(bus, event, 0), address);
        return bus;
}

static void flood_print(Flood *flood, uint64_t whole) {
        size_t n = flood->count;

        printf("{\"n\": %zu, \"rate\": %.1f, ", n, (double)n * 1e9 / (double)whole);
        bench_print_times("p50", "p99", flood->answer, n);
        if (flood_is_single(flood)) {
                printf(", ");
                bench_print_times("signal-p50", "signal-p99", flood->signal, n);
        }
        printf("}\n");
}

int main(int argc, char **argv) {
        Flood flood = {};
        uint64_t start;
        size_t size;

        if (argc != 7) {
                fprintf(stderr, "usage: flood FROM-BUS TO-BUS RECIPIENT COUNT WINDOW SIZE\n");
                return 2;
        }
        flood.recipient = argv[3];
        flood.count = bench_number(argv[4]);
        flood.window = bench_number(argv[5]);
        size = bench_number(argv[6]);
        flood.answer = calloc(flood.count, sizeof(*flood.answer));
        flood.signal = calloc(flood.count, sizeof(*flood.signal));
        flood.text = calloc(1, size + 1);
        if (!flood.answer || !flood.signal || !flood.text)
                bench_check(-ENOMEM, "calloc");
        memset(flood.text, 'x', size);

        bench_check(sd_event_new(&flood.event), "sd_event_new");
        flood.from = bus_open(flood.event, argv[1]);
        if (strcmp(argv[2], "-") != 0) {
                flood.to = bus_open(flood.event, argv[2]);
                bench_check(sd_bus_match_signal(flood.to, NULL, CHAT, CHAT_PATH, CHAT,
                                    "MessageReceived", on_received, &flood),
                        "match");
        }
        bench_check(sd_bus_match_signal(flood.from, NULL, CHAT, CHAT_PATH, CHAT,
                            "MessageStateChanged", on_state, &flood),
                "match");
        start = bench_now();
        flood_go_on(&flood);
        if (sd_event_loop(flood.event) != 0)
                return 1;
        flood_print(&flood, bench_now() - start);

        sd_bus_flush_close_unref(flood.from);
        sd_bus_flush_close_unref(flood.to);
        sd_event_unref(flood.event);
        free(flood.answer);
        free(flood.signal);
        free(flood.text);
        return 0;
}
