package import Tracing

/// Carries traces from who submits a job to who runs it, in the job's `traceparent`.
///
/// All of it goes through the tracer that the process has, and does nothing where it has none.
package enum JobTrace {
    private static let key = "traceparent"

    /// Whether anybody wants traces.
    package static var isOn: Bool { !(InstrumentationSystem.tracer is NoOpTracer) }

    /// The span that a job was submitted in.
    ///
    /// - Parameter traceparent: The job's.
    /// - Returns: Where its spans belong; the top when there is none.
    package static func context(of traceparent: String?) -> ServiceContext {
        var context = ServiceContext.topLevel
        if let traceparent {
            InstrumentationSystem.instrument.extract([key: traceparent], into: &context, using: Fields())
        }
        return context
    }

    /// What is handed on as a job's: a span, else what its submitter sent.
    package static func traceparent(in span: any Span, else given: String?) -> String? {
        var fields: [String: String] = [:]
        InstrumentationSystem.instrument.inject(span.context, into: &fields, using: Fields())
        return fields[key].flatMap { TraceParent($0) == nil ? nil : $0 } ?? given
    }

    /// A carrier of fields by their names.
    private struct Fields: Injector, Extractor {
        func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }

        func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    }
}
