import Foundation

extension TestServers {
    /// The command line of every process that has a folder in it, in its environment, or as its place.
    package static func processes(naming folder: String) -> [String] {
        // None to be listed, or gone meanwhile: nothing that runs.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.filter { Int32($0) != nil }.compactMap { name in
            func read(_ file: String) -> String {
                String(decoding: FileManager.default.contents(atPath: "/proc/\(name)/\(file)") ?? Data(), as: UTF8.self)
            }
            let command = read("cmdline")
            // A Redis node has overwritten both, and is in its folder.
            let place = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(name)/cwd")) ?? ""
            return [command, read("environ"), place].contains { $0.contains(folder) } ? command : nil
        }
    }
}
