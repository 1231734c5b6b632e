/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "chat/chat.h"

/* What protects this process from itself, for chat_doctor(): looked up once, since it stays as it
 * is from the start to the end. The strings of the answer are constant. */
ChatCheck sandbox_check(void);
