import Foundation

/// Prints figures as they come: the rows of a table, or lines of JSON and nothing else.
struct Report: Sendable {
    let json: Bool

    /// Says what machine this is, and begins the table.
    func begin() async throws {
        let machine = try await Machine.description()
        if Machine.isDebugBuild { Self.say("Built for debugging: the figures say nothing about a release.") }
        if json {
            Self.say(machine)
        } else {
            write("\(machine)\n\n\(Figure.header)")
        }
    }

    func callAsFunction(_ figure: Figure) { write(json ? figure.json : figure.row) }

    // To where nothing is buffered: a line is there as soon as its figure is.
    private func write(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

    /// Tells the user something that is no figure.
    static func say(_ line: String) { FileHandle.standardError.write(Data("\(line)\n".utf8)) }
}
