/* Craftbundle for other languages: the calls of craftbundle.h by name, JSON in and JSON out.
 *
 *   craftbundle_host* host = craftbundle_host_new(NULL);
 *   craftbundle_call* call = craftbundle_start(
 *       host, "export", "{\"source\": \"checkpoint.th\", \"output\": \"out/state_dict.bin\"}");
 *   const char* event;
 *   while ((event = craftbundle_next(call, -1)) != NULL) puts(event);
 *   craftbundle_call_free(call);
 *   craftbundle_host_free(host);
 *
 * A call runs on a thread of its own; whoever started it asks for its events. So nothing is called
 * back, and an interpreter keeps its signals and locks to itself.
 *
 * Text is UTF-8 and ends with a zero; bytes of a path that are not UTF-8 cannot be given. No
 * function throws, prints or changes signal handlers.
 *
 * Thread: any number of threads may use one host. One call is for one thread, but for
 * craftbundle_cancel(). Process: after fork() the child can use nothing made before it, but can
 * make hosts of its own when no call was under way.
 */
#ifndef CRAFTBUNDLE_C_H
#define CRAFTBUNDLE_C_H

#define CRAFTBUNDLE_C_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header. Raised when what is here changes; new operations, options and members do not
 * count. */
#define CRAFTBUNDLE_C_VERSION 1

/* CRAFTBUNDLE_C_VERSION of the library, and the version of Craftbundle: "0.1.0". */
CRAFTBUNDLE_C_API int craftbundle_c_version(void);
CRAFTBUNDLE_C_API const char* craftbundle_version(void);

/* Knows plugins, which its first call looks for. `options`: a JSON object or NULL,
 *   "plugin-dir"  directories that come first: a list of text
 * What is wrong with it is the error of each call. NULL: no memory. */
typedef struct craftbundle_host craftbundle_host;
CRAFTBUNDLE_C_API craftbundle_host* craftbundle_host_new(const char* options);
/* Calls that are under way keep what they need. */
CRAFTBUNDLE_C_API void craftbundle_host_free(craftbundle_host* host);

/* Starts an operation. `options`: a JSON object or NULL. They are named as the long options of the
 * program ("shard-size", "no-sync") and mean the same; what the program repeats is a list, and
 * NAME=VALUE an object.
 *
 *   operation  required           others
 *   "inspect"  source             xps
 *   "tensors"  source             xps, component, pattern
 *   "config"   source             xps, component
 *   "extract"  source, output     xps, component, tensors, <target>
 *   "export"   source, output     component, exporter, option, <weights>, <layout>, <target>
 *   "bundle"   components, output allow-mismatch, embed, xps, state, dtype, <layout>, <target>
 *   "convert"  bundle, output     allow-mismatch, embed, <layout>, <target>
 *   "verify"   source             against, check, as-is, run, seconds, codebooks, device, threads,
 *                                 page
 *   "run"      script             set, state-dir, only, until, rerun, force, keep-going, jobs,
 *                                 no-sync, no-clone, check, page
 *   "plugins"                     name
 *
 *   <weights>  xps, state, dtype, dtype-of, average, merge, fold-weight-norm, config-from, as-is
 *   <layout>   layout, layout-option, shard-size
 *   <target>   force, no-sync, no-clone, check
 *   run: true or false; the codec codes a test signal
 *   components: a list of objects with source and role, and exporter, option
 *
 * Relative paths start in the current directory. "extract" writes tensors, by their names all or
 * those in the list `tensors`, as a safetensors file; "config" gives {"text", "root"}: YAML, and
 * its values with interpolations resolved, where a mapping is {"mapping": [[key, value], ...]} and
 * what JSON lacks is {"integer", "float", "bytes" (hexadecimal) or "path": text}. The others give
 * what the program prints with --json; with `page` also "page", a page of XHTML for people.
 *
 * NULL: no memory. Every other failure is in the last event. */
typedef struct craftbundle_call craftbundle_call;
CRAFTBUNDLE_C_API craftbundle_call* craftbundle_start(craftbundle_host* host, const char* operation,
                                                      const char* options);

/* Waits for the next event, at most `milliseconds`; negative: as long as it takes. NULL: none in
 * that time, or the last one was given. An event is a JSON object on one line, valid until the next
 * call of this function or craftbundle_call_free():
 *   {"event": "log", "level": "debug" | "info" | "warning", "message"}
 *   {"event": "progress", "task", "done", "total"}  bytes; total 0: not known. Of a task, only the
 *                                                   newest one is kept.
 *   {"event": "end", "result"}                      the last one. An operation that failed has
 *                                                   "error", a run that did both:
 *   {"kind", "code", "message", "hint", "contexts", "subject"}
 * Kinds and codes are those of error.h. */
CRAFTBUNDLE_C_API const char* craftbundle_next(craftbundle_call* call, int milliseconds);

/* Any thread, and signal handlers not. The call ends soon, with an error of the kind "interrupted"
 * or, when it was about to end, with its result. */
CRAFTBUNDLE_C_API void craftbundle_cancel(craftbundle_call* call);

/* Cancels a call that is under way, and waits for its end. */
CRAFTBUNDLE_C_API void craftbundle_call_free(craftbundle_call* call);

#ifdef __cplusplus
}
#endif

#endif
