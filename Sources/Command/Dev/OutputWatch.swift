import Foundation

/// Notices that the reader of this process's output has gone: a pipe's other end, as of `holdfast dev | head`.
enum OutputWatch {
    /// Returns when the reader of one of some outputs has gone, or the task is cancelled.
    static func readerHasGone(of outputs: [Int32]) async {
        while !isGone(outputs), !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))  // Cancelled: the loop ends.
        }
    }

    private static func isGone(_ outputs: [Int32]) -> Bool {
        var outputs = outputs.map { pollfd(fd: $0, events: 0, revents: 0) }
        // Of a pipe that nobody reads this is an error, whether or not somebody writes.
        return poll(&outputs, nfds_t(outputs.count), 0) > 0 && outputs.contains { $0.revents & Int16(POLLERR) != 0 }
    }
}
