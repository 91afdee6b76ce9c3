"""The kernel log, as files and as events: lines -> tables of `schema.LOG_TABLES`."""

from tracereplay.parsers.kernel_log.reader import (
    KernelLog,
    LogParser,
    is_log,
    parse_console,
    parse_lines,
    read_kernel_log,
    says,
)

__all__ = ["KernelLog", "LogParser", "is_log", "parse_console", "parse_lines", "read_kernel_log", "says"]
