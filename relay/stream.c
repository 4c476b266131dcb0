/*
 * relay/stream.c
 *
 * The replication protocol on the event loop.  libpq takes in whatever the
 * socket has, so the socket is read only when the frames read before have
 * been handed out: that is the bound on memory, and what makes the server
 * wait for us.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "stream_state.h"

#include <assert.h>
#include <string.h>

#include "core/mem.h"
#include "core/replication.h"
#include "log.h"

static void
let_go(Stream *stream)
{
	watch_free(stream->watch);
	stream->watch = NULL;
	connect_stop(stream->connect);
	stream->connect = NULL;
	timer_clear(stream->more);
	timer_clear(stream->feedback);
	PQfinish(stream->conn);
	stream->conn = NULL;
}

static void
free_stream(Stream *stream)
{
	let_go(stream);
	timer_free(stream->more);
	timer_free(stream->feedback);
	mem_free(stream->slot);
	mem_free(stream->plugin);
	mem_free(stream->plugin_options);
	mem_free(stream);
}

/* break_with_conn: the loss is told from the loop, by whoever comes first. */
static void
break_with_conn(Stream *stream)
{
	loss_note_conn(&stream->loss, stream->conn);
	timer_set(stream->more, 0);
}

static void
break_with(Stream *stream, const char *reason)
{
	loss_note(&stream->loss, reason);
	timer_set(stream->more, 0);
}

/* wait_for: what the socket is to be watched for now. */
static void
wait_for(Stream *stream)
{
	unsigned events = 0;

	/* frames that libpq holds come first, and while paused nothing does */
	if (stream->state != STREAM_STREAMING ||
		(!stream->paused && !timer_is_set(stream->more)))
		events |= LOOP_READ;
	if (stream->unflushed)
		events |= LOOP_WRITE;
	watch_set(stream->watch, events);
}

static void
flush(Stream *stream)
{
	int left = PQflush(stream->conn);

	if (left < 0)
		break_with_conn(stream);
	stream->unflushed = left > 0;
	wait_for(stream);
}

/* leave: the end of everything that calls the caller. */
static void
leave(Stream *stream)
{
	if (stream_alive(stream) && stream->loss.noted)
	{
		stream->state = STREAM_LOST;
		stream->loss.connected = stream->connected;
		let_go(stream);
		stream->caller.lost(stream->caller.arg, &stream->loss);
	}
	else if (stream_alive(stream) && stream->watch != NULL)
		wait_for(stream);
	stream->busy = false;
	if (stream->closed)
		free_stream(stream);
}

/*
 * stream_send_feedback: nothing while the last one has not left libpq's buffer; the
 * server then does not read, and a heap of old positions would not help it.
 */
void
stream_send_feedback(Stream *stream)
{
	uint8_t message[REPLICATION_FEEDBACK_LEN];

	stream->told_ms = loop_now_ms(stream->loop);
	timer_set(stream->feedback, STREAM_FEEDBACK_MS);
	if (stream->unflushed)
		return;
	replication_feedback(message, stream->confirmed, loop_wall_us(stream->loop),
						 stream->told_ms - stream->heard_ms >= STREAM_ASK_MS);
	if (PQputCopyData(stream->conn, (const char *) message, sizeof(message)) <
		0)
		break_with_conn(stream);
	else
		flush(stream);
}

static void
feedback_due(void *arg)
{
	Stream *stream = arg;

	stream->busy = true;
	if (stream->state == STREAM_STREAMING)
		stream_send_feedback(stream);
	leave(stream);
}

static void
socket_ready(void *arg, int fd, unsigned events)
{
	Stream *stream = arg;
	bool readable = true;

	(void) fd;
	stream->busy = true;
	if (events & LOOP_READ)
		readable = PQconsumeInput(stream->conn) != 0;
	/* even when that failed: the server's last words may be in the buffer */
	if (events & LOOP_READ)
		stream_process(stream);
	if (stream_alive(stream) && !readable)
		loss_note_conn(&stream->loss, stream->conn);
	if (stream_alive(stream) && !stream->loss.noted && stream->unflushed)
		flush(stream);
	leave(stream);
}

static void
go_on(void *arg)
{
	Stream *stream = arg;

	stream->busy = true;
	if (!stream->loss.noted)
		stream_process(stream);
	leave(stream);
}

static void
take_notice(void *arg, const PGresult *result)
{
	Stream *stream = arg;
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (loss_is_fatal(result))
		loss_note_result(&stream->loss, result);
	else if (message != NULL)
		log_debug("stream_notice", "%s", message);
}

static void
connect_done(void *arg, PGconn *conn, const Loss *loss)
{
	Stream *stream = arg;

	stream->busy = true;
	connect_stop(stream->connect);
	stream->connect = NULL;
	stream->conn = conn;
	if (conn != NULL)
	{
		PQsetNoticeReceiver(conn, take_notice, stream);
		stream->watch = loop_watch(stream->loop, PQsocket(conn), LOOP_READ,
								   socket_ready, stream);
		stream->connected = true;
		stream->state = STREAM_IDLE;
		stream->caller.connected(stream->caller.arg);
	}
	else
		stream->loss = *loss;
	leave(stream);
}

static char *
copy_text(const char *text)
{
	return text == NULL ? NULL : mem_copy(text, strlen(text) + 1);
}

Stream *
stream_open(Loop *loop, const StreamOptions *options, StreamCaller caller)
{
	Stream *stream = mem_alloc(sizeof(*stream));

	stream->loop = loop;
	stream->caller = caller;
	stream->slot = copy_text(options->slot);
	stream->plugin =
		copy_text(options->plugin == NULL ? STREAM_PLUGIN : options->plugin);
	stream->plugin_options = copy_text(options->plugin_options);
	stream->state = STREAM_CONNECTING;
	loss_init(&stream->loss);
	stream->more = loop_timer(loop, go_on, stream);
	stream->feedback = loop_timer(loop, feedback_due, stream);
	stream->connect =
		connect_start(loop, options->conninfo, true, connect_done, stream);
	return stream;
}

void
stream_close(Stream *stream)
{
	if (stream == NULL)
		return;
	stream->closed = true;
	if (!stream->busy)
		free_stream(stream);
}

static void
send_command(Stream *stream, const char *command, StreamState next)
{
	assert(stream->state == STREAM_IDLE);
	stream->state = next;
	if (PQsendQuery(stream->conn, command) == 1)
		flush(stream);
	else
		break_with_conn(stream);
}

static bool
takes_command(const Stream *stream)
{
	return stream_alive(stream) && !stream->loss.noted;
}

void
stream_create_slot(Stream *stream)
{
	char command[REPLICATION_COMMAND_MAX];

	if (!takes_command(stream))
		return;
	if (replication_create_command(command, sizeof(command), stream->slot,
								   stream->plugin))
		send_command(stream, command, STREAM_CREATING);
	else
		break_with(stream, "name of the slot is too long");
}

void
stream_start(Stream *stream, uint32_t schema_oid)
{
	char command[REPLICATION_COMMAND_MAX];

	if (!takes_command(stream))
		return;
	if (replication_start_command(command, sizeof(command), stream->slot,
								  stream->plugin_options, schema_oid))
		send_command(stream, command, STREAM_STARTING);
	else
		break_with(stream, "name of the slot is too long");
}

void
stream_confirm(Stream *stream, uint64_t lsn)
{
	int64_t since_ms = loop_now_ms(stream->loop) - stream->told_ms;

	if (!stream_alive(stream) || lsn <= stream->confirmed)
		return;
	stream->confirmed = lsn;
	if (stream->state == STREAM_STREAMING)
		timer_set(stream->feedback, since_ms >= STREAM_CONFIRM_MS
										? 0
										: STREAM_CONFIRM_MS - since_ms);
}

uint64_t
stream_confirmed(const Stream *stream)
{
	return stream->confirmed;
}

void
stream_pause(Stream *stream)
{
	if (!stream_alive(stream))
		return;
	stream->paused = true;
	if (stream->state == STREAM_STREAMING)
		wait_for(stream);
}

void
stream_resume(Stream *stream)
{
	if (!stream_alive(stream) || !stream->paused)
		return;
	stream->paused = false;
	stream->heard_ms = loop_now_ms(stream->loop);
	/* what libpq holds already makes no socket readable */
	if (stream->state == STREAM_STREAMING)
		timer_set(stream->more, 0);
}

int64_t
stream_silent_ms(const Stream *stream)
{
	if (stream->state != STREAM_STREAMING || stream->paused)
		return 0;
	return loop_now_ms(stream->loop) - stream->heard_ms;
}

int
stream_walsender_pid(const Stream *stream)
{
	return stream->conn == NULL ? 0 : PQbackendPID(stream->conn);
}
