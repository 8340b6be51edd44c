#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "proto/arpc.h"
#include "proto/mp.h"
#include "tests/unit/unit.h"

/* arpc.md says what the code does: its examples are frames, and no method and
 * no error code is missing. */

static const char doc[] = "proto/arpc.md";

static FILE *
open_file(const char *path)
{
	FILE *f = fopen(path, "r");

	ck_assert_msg(f != NULL, "%s: run from the top of the tree", path);
	return f;
}

/* Returns new. */
static struct am_buf
read_file(const char *path)
{
	struct am_buf text = AM_BUF_INIT;
	char chunk[4096];
	size_t n;
	FILE *in = open_file(path);

	while ((n = fread(chunk, 1, sizeof(chunk), in)) > 0)
		buf_append(&text, chunk, n);
	(void)fclose(in);
	return text;
}

/* Appends the bytes of "    94 00 ..."; false: the line is another one. */
static bool
put_hex(struct am_buf *b, const char *line)
{
	unsigned byte;
	size_t len = strlen(line);

	if (len < 7 || strncmp(line, "    ", 4) != 0 ||
	    strspn(line, "0123456789abcdef \n") != len)
		return false;
	for (const char *p = line + 4; sscanf(p, "%2x", &byte) == 1; p += 3) {
		buf_putc(b, (char)byte);
		if (p[2] != ' ')
			break;
	}
	return true;
}

START_TEST(each_example_is_a_frame_and_its_json)
{
	struct am_buf bytes = AM_BUF_INIT;
	struct am_buf want = AM_BUF_INIT;
	struct arpc_frame f;
	struct am_error err;
	struct mp_scan scan;
	const char *why = "";
	char *line = NULL;
	size_t cap = 0;
	size_t len;
	int n = 0;
	FILE *in = open_file(doc);

	while (getline(&line, &cap, in) > 0) {
		if (put_hex(&bytes, line) || bytes.len == 0)
			continue;
		ck_assert_msg(am_json_decode(line + 4, strlen(line) - 5, &want,
				  &err) == 0,
		    "%s: %s", line, err.text);
		ck_assert_msg(want.len == bytes.len &&
			memcmp(want.data, bytes.data, want.len) == 0,
		    "bytes differ: %s", line);
		mp_scan_init(&scan, ARPC_FRAME_MAX, MP_FRAME_DEPTH_MAX);
		ck_assert_int_eq(mp_scan(&scan, (const uint8_t *)bytes.data,
				     bytes.len, &len),
		    MP_SCAN_DONE);
		ck_assert_uint_eq(len, bytes.len);
		ck_assert_msg(arpc_frame_get(bytes.data, bytes.len, &f, &why) ==
			0,
		    "%s: %s", line, why);
		ck_assert_msg(f.kind == ARPC_RESPONSE ||
			f.method != ARPC_UNKNOWN,
		    "no such method: %s", line);
		am_buf_reset(&bytes);
		am_buf_reset(&want);
		n++;
	}
	ck_assert_int_gt(n, 15);
	(void)fclose(in);
	free(line);
	am_buf_done(&bytes);
	am_buf_done(&want);
}
END_TEST

/* Every method and every code stands there as `name`. */
START_TEST(no_method_and_no_code_is_missing)
{
	struct am_buf text = read_file(doc);
	char want[64];

	for (int e = 0; e < ARPC_E__COUNT; e++) {
		(void)snprintf(want, sizeof(want), "`%s`",
		    arpc_error_name((enum arpc_error)e));
		ck_assert_msg(strstr(buf_text(&text), want) != NULL, "%s",
		    want);
	}
	for (int m = 0; m < ARPC__COUNT; m++) {
		(void)snprintf(want, sizeof(want), "%s",
		    arpc_method_name((enum arpc_method)m));
		for (char *line = strstr(buf_text(&text), "\n### ");;
		     line = strstr(line + 1, "\n### ")) {
			char *end;
			char *found;

			ck_assert_msg(line != NULL, "no section: %s", want);
			end = strchr(line + 1, '\n');
			found = strstr(line + 5, want);
			if (found != NULL && found < end &&
			    strchr(" ,(", found[-1]) != NULL &&
			    strchr(" ,(", found[strlen(want)]) != NULL)
				break;
		}
	}
	am_buf_done(&text);
}
END_TEST

/* The text that follows in this call stands there as `word` or `code: ...`. */
static void
check_reason(const char *file, const char *call, const char *all)
{
	char want[128];
	const char *text = strchr(call, '"');
	int len;

	if (text == NULL || text > strchr(call, ';'))
		return; /* a variable: of somebody else's reason */
	text++;
	len = (int)strcspn(text, ":\"");
	(void)snprintf(want, sizeof(want), "`%.*s%s`", len, text,
	    text[len] == ':' ? ": ..." : "");
	ck_assert_msg(strstr(all, want) != NULL, "%s: %s", file, want);
}

/* Whoever reads a bye looks its reason up in section 3. */
START_TEST(no_reason_of_a_bye_is_missing)
{
	static const char *const calls[] = { "conn_close(", "session_close(",
		"server_close(", "close_clients(", "lease_revoke(",
		"char why[] = " };
	struct am_buf text = read_file(doc);
	const char *section = strstr(buf_text(&text), "## 3.");
	size_t n = 0;
	glob_t files;

	*strstr(section, "## 4.") = '\0';
	ck_assert_int_eq(glob("lib/rpc/session*.c", 0, NULL, &files), 0);
	ck_assert_int_eq(glob("lib/rpc/server.c", GLOB_APPEND, NULL, &files),
	    0);
	ck_assert_int_eq(glob("lib/rpc/conn*.c", GLOB_APPEND, NULL, &files), 0);
	ck_assert_int_eq(glob("lib/node/worker*.c", GLOB_APPEND, NULL, &files),
	    0);
	ck_assert_int_eq(glob("daemon/*.c", GLOB_APPEND, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct am_buf source = read_file(files.gl_pathv[i]);

		for (size_t k = 0; k < sizeof(calls) / sizeof(calls[0]); k++) {
			const char *at = buf_text(&source);

			for (; (at = strstr(at, calls[k])) != NULL; at++, n++)
				check_reason(files.gl_pathv[i], at, section);
		}
		am_buf_done(&source);
	}
	ck_assert_uint_gt(n, 20);
	globfree(&files);
	am_buf_done(&text);
}
END_TEST

UNIT_MAIN("arpc_doc", each_example_is_a_frame_and_its_json,
    no_method_and_no_code_is_missing, no_reason_of_a_bye_is_missing)
