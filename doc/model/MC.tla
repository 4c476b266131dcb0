---- MODULE MC ----
(* SPDX-License-Identifier: PostgreSQL

   The keys of the messages: two, or one. *)
EXTENDS Outbox
Two(m) == m % 2
One(m) == 1
====
