/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "chat/chat.h"

/* What protects this process from itself, for chat_doctor(): looked up once, since it stays as it
 * is from the start to the end. The strings of the answer are constant. */
ChatCheck sandbox_check(void);

/* From /proc/self/uid_map: systemd maps the user into a namespace of its own as himself, and nobody
 * else but root. The whole system and most containers have room for all the users of one, and those
 * for one user have him as root. */
bool sandbox_is_user_namespace(const char *uid_map);
