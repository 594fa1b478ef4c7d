import Holdfast
import Redlock
import Tracing

extension Claim {
    /// Tells the process' tracer of the claim, now that it is made: a part of its first job's trace, and linked to the
    /// others'.
    ///
    /// - Parameter start: When the database was asked for it.
    func trace(since start: some TracerInstant) {
        guard let first = jobs.first else { return }
        let context = JobTrace.context(of: first.traceparent)
        let span = startSpan("claim", at: start, context: context, ofKind: .consumer)
        span.updateAttributes { attributes in
            attributes["holdfast.queue"] = queue
            attributes["holdfast.claim.fence"] = fence.rawValue
            attributes["holdfast.claim.waited_ms"] = wasReady.milliseconds
            attributes["holdfast.jobs"] = jobs.count
        }
        for job in jobs.dropFirst() where job.traceparent != nil {
            span.addLink(SpanLink(context: JobTrace.context(of: job.traceparent), attributes: [:]))
        }
        span.end()
    }
}
