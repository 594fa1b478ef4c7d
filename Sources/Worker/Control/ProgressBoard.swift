import Holdfast
import Synchronization

/// What tasks said last of their progress, and nobody has stored yet.
final class ProgressBoard: Sendable {
    private let reports = Mutex<[JobID: TaskProgress]>([:])

    func post(_ progress: TaskProgress) { reports.withLock { $0[progress.job] = progress } }

    /// Takes all off.
    func take() -> [TaskProgress] {
        reports.withLock { reports in
            defer { reports = [:] }
            return Array(reports.values)
        }
    }
}
