/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the service manager shows of this service, by the protocol of sd_notify(3). That function
 * waits where the manager does not read; nobody should have to wait for a line of text, so this one
 * leaves it out then. TEXT is one line. Without $NOTIFY_SOCKET it does nothing.
 */
void notify_status(const char *text);
