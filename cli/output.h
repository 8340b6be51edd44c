/* output.h - what amctl prints: one document, or a stream of them, as text for
 * people or as JSON. Values are MessagePack until here. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "lib/amnode.h"

enum out_format {
	OUT_TABLE,
	OUT_JSON,
	OUT_NDJSON,
	OUT_RAW,
};

enum out_kind {
	COL_TEXT, /* as it is; other types as JSON */
	COL_TIME, /* seconds, as 1h2m */
	COL_BOOL, /* yes, no */
};

struct out_col {
	const char *key;
	const char *title;
	enum out_kind kind;
};

/* How people see a document: an array as a table with these columns, a map as
 * one line a column; or by an own function that appends lines. */
struct out_view {
	const struct out_col *cols;
	size_t n_cols;
	void (*text)(struct am_buf *out, struct am_val doc);
};

/* A string as it is, without quotes. */
extern const struct out_view out_bare;

struct out;

struct out_ops {
	/* The one document of a command; plain is what people want of it. */
	void (*doc)(struct out *o, struct am_val doc, struct am_val plain,
	    const struct out_view *v);
	/* One of a stream of documents. */
	void (*item)(struct out *o, struct am_val doc, struct am_val plain);
	/* A result that is an error. */
	void (*fail)(struct out *o, const char *status, const char *code,
	    const char *message);
};

struct out {
	const struct out_ops *ops;
	enum out_format format;
	const char *field; /* borrowed; NULL: all of it */
	bool quiet;
	bool bold; /* titles, on a terminal */
	bool said; /* the document was printed */
	struct am_buf buf;
};

extern const struct out_ops out_text_ops;
extern const struct out_ops out_json_ops;

void out_init(struct out *o, enum out_format format, const char *field,
    bool quiet);
void out_done(struct out *o);
/* By name; -EINVAL. */
int out_format_parse(const char *name, enum out_format *ret);

/* 0, or EX_MISSING if there is no such field. view NULL: plain as JSON. */
int out_doc(struct out *o, struct am_val doc, struct am_val plain,
    const struct out_view *view);
int out_item(struct out *o, struct am_val doc, struct am_val plain);
void out_fail(struct out *o, const char *status, const char *code,
    const char *message);
/* One line of text as the document: {KEY: text} in JSON. */
int out_line(struct out *o, const char *key, const char *text);
/* Writes all that waits to stdout. -errno. */
int out_flush(struct out *o);

/* A value as one line without a newline: JSON, or bare if it is a string. */
void out_put(struct am_buf *b, struct am_val v, bool bare);
/* "1h2m", "4.2s". */
void out_put_time(struct am_buf *b, double seconds);

#endif
