import Foundation
import Synchronization

/// The terminal, taken over: an alternate screen without a cursor, and keys as they are pressed.
///
/// It is as it was once ``restore()`` is called, which the end of the process does too.
struct TerminalScreen: Sendable {
    /// What the terminal was like; `nil` when it is that again.
    private static let before = Mutex<termios?>(nil)

    /// The keys that are pressed; a look that finds none takes a fifth of a second.
    let keys: InputFile

    /// - Returns: `nil` when there is no terminal.
    init?() throws {
        var attributes = termios()
        guard isatty(STDOUT_FILENO) == 1, tcgetattr(STDIN_FILENO, &attributes) == 0 else { return nil }
        keys = try InputFile("-")
        Self.before.withLock { $0 = attributes }
        atexit { TerminalScreen.restore() }
        // Lines are not waited for, and nothing is echoed; Ctrl-C is a key.
        attributes.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        withUnsafeMutableBytes(of: &attributes.c_cc) { bytes in
            bytes[Int(VMIN)] = 0
            bytes[Int(VTIME)] = 2
        }
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &attributes)
        Self.write("\u{1B}[?1049h\u{1B}[?25l")
    }

    /// Shows lines from the top; what does not fit is left out.
    func draw(_ lines: [String]) {
        let (rows, columns) = Self.size
        let shown = lines.prefix(rows).map { $0.prefix(columns) + "\u{1B}[K" }
        Self.write("\u{1B}[H" + shown.joined(separator: "\r\n") + "\u{1B}[J")
    }

    /// How many rows and columns it has now.
    static var size: (rows: Int, columns: Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0, size.ws_col > 0 else {
            return (24, 80)
        }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    /// Makes the terminal what it was; once is enough.
    static func restore() {
        let attributes = before.withLock { before in
            defer { before = nil }
            return before
        }
        guard var attributes else { return }
        write("\u{1B}[?25h\u{1B}[?1049l")
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &attributes)
    }

    private static func write(_ text: String) {
        // What a terminal that has gone does not take is of no use to anybody.
        try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
    }
}
