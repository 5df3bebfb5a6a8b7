/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_record.h: sealing and opening one record, and the names of segments. For the journal's own files.
 */
#ifndef IB_JOURNAL_RECORD_H
#define IB_JOURNAL_RECORD_H

#include <stdbool.h>

#include "check.h"
#include "journal.h"

enum { IB_SEGMENT_NAME_SIZE = 32 }; /* 20 digits, ".journal", and room for ".new" with its closing zero */

/* Hash of everything up to and with this record; the record after it carries it. */
uint64_t ib_record_chain(const struct ib_record_header *header, const void *payload);
/* Completes length and both checksums of a header whose other fields are set. */
void ib_record_seal(struct ib_record_header *header, const void *payload, uint32_t length);
/* Whether magic and header checksum are right: then every field of the header is what was written. */
int ib_record_header_is_sound(const struct ib_record_header *header);

/* Writes the record of a command, IB_RECORD_COMMAND_SIZE bytes; `header` says what it has besides the command's own seq
 * and time: shard, epoch, chain, group. Returns the chain behind it. */
uint64_t ib_record_write(unsigned char *to, struct ib_record_header header, const struct ib_command *command);
/* The command of a sound record; 0 when header and payload disagree. */
int ib_record_read(const struct ib_record_header *header, const unsigned char *payload, struct ib_command *command);

/* Where the record of command `seq` begins in the segment whose first one is `first_seq`, from format 2 on. */
static inline uint64_t ib_record_offset(uint64_t first_seq, uint64_t seq)
{
    IB_ASSERT(first_seq >= 1 && first_seq <= seq);
    return IB_RECORD_SEGMENT_SIZE + (seq - first_seq) * IB_RECORD_COMMAND_SIZE;
}
/* The command of a whole record, IB_RECORD_COMMAND_SIZE bytes, in which every sum is right; false when it is none, or
 * another command's than that of `seq`. */
bool ib_record_open(const unsigned char *bytes, uint64_t seq, struct ib_command *command);

void ib_segment_name(char name[IB_SEGMENT_NAME_SIZE], uint64_t first_seq);
/* First sequence numbers of all segments in a directory, ascending, in malloc'ed memory. enum ib_status. */
int ib_segment_list(int directory_fd, uint64_t **first_seqs, size_t *count);

/* Puts "DIRECTORY: what it is" into `error`, cut to IB_ERROR_TEXT_SIZE. */
__attribute__((format(printf, 3, 4))) void ib_journal_say(char *error, const char *directory, const char *format, ...);

#endif
