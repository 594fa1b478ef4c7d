import Foundation
import ServiceLifecycle

/// Ends when the process that started this one has gone, so that `holdfast dev` leaves nothing behind, however it ends.
struct ParentWatch: Service {
    func run() async throws {
        let parent = getppid()
        await cancelWhenGracefulShutdown {
            while getppid() == parent, !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(500))  // Cancelled: the loop ends.
            }
        }
    }
}
