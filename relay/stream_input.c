/*
 * relay/stream_input.c
 *
 * What the walsender sends: answers to commands, then frames and keepalives,
 * handed out in batches so that one turn of the loop stays short.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/replication.h"
#include "stream_state.h"

static void
take_data(Stream *stream, const uint8_t *data, size_t len)
{
	StreamCaller *caller = &stream->caller;
	ReplicationMessage message;

	stream->heard_ms = loop_now_ms(stream->loop);
	if (!replication_read(&message, data, len))
		loss_note(&stream->loss,
				  "message of the replication protocol is malformed");
	else if (message.kind == REPLICATION_DATA)
		caller->frame(caller->arg, message.data, message.len, message.wal_start,
					  message.server_end);
	else
	{
		caller->keepalive(caller->arg, message.server_end);
		/* after the call, which may have confirmed this very position */
		if (stream_alive(stream) && message.reply_requested)
			stream_send_feedback(stream);
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

	while (stream_alive(stream) && !stream->paused && !stream->loss.noted)
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
	stream->heard_ms = loop_now_ms(stream->loop);
	/* at once: the server counts from its start until it hears of us */
	stream_send_feedback(stream);
	stream->caller.started(stream->caller.arg);
	if (stream_alive(stream))
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
	return stream_alive(stream) && !stream->loss.noted &&
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

void
stream_process(Stream *stream)
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
