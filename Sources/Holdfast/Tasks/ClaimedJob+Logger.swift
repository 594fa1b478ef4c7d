package import Logging
package import Redlock

extension ClaimedJob {
    /// A logger whose messages say which job of which key, and which attempt of it, they are about.
    package func logger(_ base: Logger, key: LockKey) -> Logger {
        var logger = base
        logger[metadataKey: "job.id"] = "\(id)"
        logger[metadataKey: "job.key"] = "\(key)"
        logger[metadataKey: "job.fence"] = "\(fence)"
        logger[metadataKey: "job.attempt"] = "\(attempt)"
        if let trace = traceparent.flatMap(TraceParent.init) {
            logger[metadataKey: "trace.id"] = "\(trace.traceID)"
        }
        return logger
    }
}
