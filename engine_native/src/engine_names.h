/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_names.h: the words for numbers that people read and write at the admin socket. engine_config.py has the same
 * ones for the configuration.
 */
#ifndef IB_ENGINE_NAMES_H
#define IB_ENGINE_NAMES_H

enum { IB_PHASE_NAMES = 7, IB_BREACH_NAMES = 2, IB_LIMIT_NAMES = 9, IB_EVENT_NAMES = 16 };

extern const char *const ib_phase_names[IB_PHASE_NAMES];   /* by enum ib_phase */
extern const char *const ib_breach_names[IB_BREACH_NAMES]; /* by enum ib_breach */
extern const char *const ib_limit_names[IB_LIMIT_NAMES];   /* by enum ib_risk_limit; [0] is null */
extern const char *const ib_event_names[IB_EVENT_NAMES];   /* by enum ib_event_type; [0] is null */

#endif
