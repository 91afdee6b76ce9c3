"""The kernel log, as files and as events: lines -> tables of `schema.LOG_TABLES`."""

from tracereplay.parsers.kernel_log.reader import KernelLog, LogParser, parse_console, parse_lines, read_kernel_log

__all__ = ["KernelLog", "LogParser", "parse_console", "parse_lines", "read_kernel_log"]
