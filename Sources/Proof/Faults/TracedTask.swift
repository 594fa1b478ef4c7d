import FaultChecking
import Foundation
import Holdfast
import Redlock

/// What stands in for `lockAndSet` under faults: it writes its own trace, works, writes the value fenced, and works on.
///
/// A value that begins with `stubborn` ignores cancellation up to its write, as a task should not: the fence is all that
/// guards it.
struct TracedTask: TaskHandler {
    static let kind = LockAndSet.kind
    private static let step: Duration = .milliseconds(20)

    let values: ValueStore
    let trace: TraceFile

    static func payload(of value: String) -> String { value }

    func run(_ value: String, _ context: TaskContext) async throws {
        let isStubborn = value.hasPrefix("stubborn")
        let note: @Sendable (TraceEvent.Kind) -> Void = { kind in
            trace.append(
                TraceEvent(
                    kind,
                    process: getpid(),
                    job: context.jobID,
                    fence: context.fence.rawValue,
                    atNanoseconds: Monotonic.nanoseconds,
                    isStubborn: isStubborn,
                    key: context.key.text
                )
            )
        }
        let half = context.job.duration / 2
        note(.begun)
        let first: @Sendable () async throws -> Void = {
            try await Self.work(half, note)
            try await write(value, context, note)
        }
        // A task of its own is not cancelled with this one.
        if isStubborn { try await Task { try await first() }.value } else { try await first() }
        try await Self.work(half, note)
        note(.ended)
    }

    private static func work(_ duration: Duration, _ note: (TraceEvent.Kind) -> Void) async throws {
        let end = ContinuousClock.now + duration
        while ContinuousClock.now < end {
            try await Task.sleep(for: min(step, max(ContinuousClock.now.duration(to: end), .zero)))
            note(.worked)
        }
    }

    private func write(_ value: String, _ context: TaskContext, _ note: (TraceEvent.Kind) -> Void) async throws {
        let outcome: FencedWrite.Outcome
        do {
            outcome = try await values.write(value, to: context.key, fence: context.fence)
        } catch {
            throw TaskOutage(description: "\(error)")
        }
        switch outcome {
        case .written: note(.wrote)
        case .refused(let highest):
            note(.refused)
            throw TaskRefusal(fence: context.fence, highest: highest)
        }
    }
}

/// The same as a second kind, which not every worker has.
struct OtherTracedTask: TaskHandler {
    static let kind = "traced"

    let task: TracedTask

    static func payload(of value: String) -> String { value }

    func run(_ value: String, _ context: TaskContext) async throws { try await task.run(value, context) }
}

/// A file that lines are added to, each by one write: a killed process leaves all that it has added.
final class TraceFile: Sendable {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    deinit { close(descriptor) }

    func append(_ event: TraceEvent) {
        var line = event.line
        _ = line.withUTF8 { Foundation.write(descriptor, $0.baseAddress, $0.count) }
    }
}
