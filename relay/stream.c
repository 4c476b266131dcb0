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
#include "stream.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "connect.h"
#include "core/mem.h"
#include "core/replication.h"
#include "log.h"

typedef enum StreamState
{
	STREAM_CONNECTING,
	STREAM_IDLE,
	STREAM_CREATING,
	STREAM_CREATED, /* the rest of the answer is not here yet */
	STREAM_STARTING,
	STREAM_STREAMING,
	STREAM_ENDING, /* the copy is over, its result not here yet */
	STREAM_LOST
} StreamState;

struct Stream
{
	Loop *loop;
	StreamCaller caller;
	char *slot;
	char *plugin;
	char *plugin_options;
	StreamState state;
	Connect *connect;
	PGconn *conn;
	Watch *watch;
	Timer *more;	 /* frames wait in libpq's buffer, or a loss to be told */
	Timer *feedback; /* the next one is due */
	Loss loss;
	bool connected;
	bool paused;
	bool unflushed; /* libpq could not send all */
	bool busy;		/* a call of ours is on the stack */
	bool closed;
	uint64_t consistent_point;
	uint64_t confirmed;
	int64_t told_ms; /* when the last feedback went out */
};

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

static bool
alive(const Stream *stream)
{
	return !stream->closed && stream->state != STREAM_LOST;
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
	if (alive(stream) && stream->loss.noted)
	{
		stream->state = STREAM_LOST;
		stream->loss.connected = stream->connected;
		let_go(stream);
		stream->caller.lost(stream->caller.arg, &stream->loss);
	}
	else if (alive(stream) && stream->watch != NULL)
		wait_for(stream);
	stream->busy = false;
	if (stream->closed)
		free_stream(stream);
}

/*
 * send_feedback: nothing while the last one has not left libpq's buffer; the
 * server then does not read, and a heap of old positions would not help it.
 */
static void
send_feedback(Stream *stream)
{
	uint8_t message[REPLICATION_FEEDBACK_LEN];

	stream->told_ms = loop_now_ms(stream->loop);
	timer_set(stream->feedback, STREAM_FEEDBACK_MS);
	if (stream->unflushed)
		return;
	replication_feedback(message, stream->confirmed,
						 loop_wall_us(stream->loop));
	if (PQputCopyData(stream->conn, (const char *) message,
					  sizeof(message)) < 0)
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
		send_feedback(stream);
	leave(stream);
}

static void
take_data(Stream *stream, const uint8_t *data, size_t len)
{
	StreamCaller *caller = &stream->caller;
	ReplicationMessage message;

	if (!replication_read(&message, data, len))
		loss_note(&stream->loss,
				  "message of the replication protocol is malformed");
	else if (message.kind == REPLICATION_DATA)
		caller->frame(caller->arg, message.data, message.len,
					  message.wal_start, message.server_end);
	else
	{
		caller->keepalive(caller->arg, message.server_end);
		/* after the call, which may have confirmed this very position */
		if (alive(stream) && message.reply_requested)
			send_feedback(stream);
	}
}

/*
 * end_of_stream: an error of the decoder, or the server stops: having sent
 * all, its walsender ends the copy in good order.
 */
static void
end_of_stream(Stream *stream)
{
	PGresult *result;

	stream->state = STREAM_ENDING;
	if (PQisBusy(stream->conn))
		return;
	result = PQgetResult(stream->conn);
	if (result != NULL && PQresultStatus(result) == PGRES_FATAL_ERROR)
		loss_note_result(&stream->loss, result);
	else
	{
		loss_note(&stream->loss, "the server ended the stream");
		stream->loss.admin_shutdown = true;
	}
	PQclear(result);
}

/* hand_out: a bounded batch of what libpq holds. */
static void
hand_out(Stream *stream)
{
	size_t bytes = 0;
	int frames = 0;

	while (alive(stream) && !stream->paused && !stream->loss.noted)
	{
		char *data = NULL;
		int len;

		if (frames == STREAM_TURN_FRAMES || bytes >= STREAM_TURN_BYTES)
		{
			timer_set(stream->more, 0);
			break;
		}
		len = PQgetCopyData(stream->conn, &data, 1);
		if (len == 0)
			break;
		if (len == -1)
		{
			end_of_stream(stream);
			break;
		}
		if (len < 0)
		{
			loss_note_conn(&stream->loss, stream->conn);
			break;
		}
		frames++;
		bytes += (size_t) len;
		take_data(stream, (const uint8_t *) data, (size_t) len);
		PQfreemem(data);
	}
}

/* take_slot: columns slot_name, consistent_point, snapshot_name, plugin. */
static void
take_slot(Stream *stream, const PGresult *result)
{
	if (PQntuples(result) != 1 || PQnfields(result) < 2 ||
		!replication_lsn(PQgetvalue(result, 0, 1), &stream->consistent_point))
		loss_note(&stream->loss, "unexpected answer to the making of the slot");
	stream->state = STREAM_CREATED;
}

static void
take_start(Stream *stream)
{
	stream->state = STREAM_STREAMING;
	/* at once: the server counts from its start until it hears of us */
	send_feedback(stream);
	stream->caller.started(stream->caller.arg);
	if (alive(stream))
		hand_out(stream);
}

/* take_result: of a command; NULL says that its end has been read. */
static void
take_result(Stream *stream, const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (stream->state == STREAM_CREATING && status == PGRES_TUPLES_OK)
		take_slot(stream, result);
	else if (stream->state == STREAM_CREATED && result == NULL)
	{
		stream->state = STREAM_IDLE;
		stream->caller.slot_made(stream->caller.arg, stream->consistent_point);
	}
	else if (stream->state == STREAM_STARTING && status == PGRES_COPY_BOTH)
		take_start(stream);
	else if (result != NULL && status == PGRES_FATAL_ERROR)
		loss_note_result(&stream->loss, result);
	else if (status != PGRES_COMMAND_OK)
		loss_note(&stream->loss, "unexpected answer of the walsender");
}

static bool
awaits_result(const Stream *stream)
{
	return alive(stream) && !stream->loss.noted &&
		   stream->state >= STREAM_CREATING && stream->state <= STREAM_STARTING;
}

static void
take_results(Stream *stream)
{
	while (awaits_result(stream) && !PQisBusy(stream->conn))
	{
		PGresult *result = PQgetResult(stream->conn);

		take_result(stream, result);
		PQclear(result);
	}
}

/* process: what libpq holds, by what we are waiting for. */
static void
process(Stream *stream)
{
	switch (stream->state)
	{
		case STREAM_CREATING:
		case STREAM_CREATED:
		case STREAM_STARTING:
			take_results(stream);
			break;
		case STREAM_STREAMING:
			hand_out(stream);
			break;
		case STREAM_ENDING:
			end_of_stream(stream);
			break;
		default:
			/* idle: the last words of the server come as a notice */
			(void) PQisBusy(stream->conn);
			break;
	}
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
		process(stream);
	if (alive(stream) && !readable)
		loss_note_conn(&stream->loss, stream->conn);
	if (alive(stream) && !stream->loss.noted && stream->unflushed)
		flush(stream);
	leave(stream);
}

static void
go_on(void *arg)
{
	Stream *stream = arg;

	stream->busy = true;
	if (!stream->loss.noted)
		process(stream);
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
	return alive(stream) && !stream->loss.noted;
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

	if (!alive(stream) || lsn <= stream->confirmed)
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
	if (!alive(stream))
		return;
	stream->paused = true;
	if (stream->state == STREAM_STREAMING)
		wait_for(stream);
}

void
stream_resume(Stream *stream)
{
	if (!alive(stream) || !stream->paused)
		return;
	stream->paused = false;
	/* what libpq holds already makes no socket readable */
	if (stream->state == STREAM_STREAMING)
		timer_set(stream->more, 0);
}

int
stream_walsender_pid(const Stream *stream)
{
	return stream->conn == NULL ? 0 : PQbackendPID(stream->conn);
}
