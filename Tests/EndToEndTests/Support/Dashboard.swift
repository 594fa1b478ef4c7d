import Foundation
import Testing

/// A browser that looks at the dashboard.
///
/// It needs Debian's Chromium, and Python with selenium, which `deploy/test` installs into `.build/python`.
enum Dashboard {
    private static let folder = Tool.repository.appending(path: "Tests/EndToEndTests/Dashboard")

    /// Runs a script of tests in a browser, or one class of them.
    ///
    /// - Parameters:
    ///   - base: The intake's address.
    ///   - script: Its name in the folder `Dashboard`.
    ///   - tests: The class; `nil` for all.
    ///   - environment: What the script is told besides.
    ///   - launcher: Runs it, and the browser with it, elsewhere.
    /// - Throws: When it cannot be run.
    static func look(
        at base: String,
        by script: String,
        _ tests: String? = nil,
        _ environment: [String: String] = [:],
        launcher: [String] = []
    ) async throws {
        let result = try await Tool.python(
            "python",
            [folder.appending(path: "\(script).py").path] + (tests.map { [$0] } ?? []),
            environment.merging(["DASHBOARD": base]) { $1 },
            launcher: launcher
        )
        #expect(result.status == 0, "\(result.output.suffix(8000))")
    }
}
