internal import CMartlet

/// Hears what a log does to its folder, step by step: what a test needs to build the folder that a power cut leaves,
/// and a bench to repeat the log's writes bare.
///
/// Writes, creations, renames and removals are told before they begin, syncs when they have ended.
final class LogRecorder: Sendable {
    enum Step {
        case create(String)
        case write(String, at: UInt64, UnsafeRawBufferPointer)
        case sync(String)
        case rename(String, to: String)
        case remove(String)
        case syncFolder
    }

    private let hear: @Sendable (Step) -> Void

    /// `hear` is called on the log's thread and on the one that prepares segments.
    init(_ hear: @escaping @Sendable (Step) -> Void) { self.hear = hear }

    /// What the C side calls. It does not keep the recorder.
    static func callback(_ recorder: LogRecorder?) -> cm_log_recorder {
        guard let recorder else { return cm_log_recorder() }
        return cm_log_recorder(
            note: { context, event in
                guard let context, let event, let path = event.pointee.path else { return }
                let recorder = Unmanaged<LogRecorder>.fromOpaque(context).takeUnretainedValue()
                if let step = Step(event.pointee, String(cString: path)) { recorder.hear(step) }
            }, context: Unmanaged.passUnretained(recorder).toOpaque())
    }
}

extension LogRecorder.Step {
    fileprivate init?(_ event: cm_log_event, _ path: String) {
        switch Int(event.kind) {
        case CM_LOG_CREATES: self = .create(path)
        case CM_LOG_WRITES:
            let bytes = UnsafeRawBufferPointer(start: event.bytes, count: Int(event.length))
            self = .write(path, at: event.offset, bytes)
        case CM_LOG_SYNCS: self = .sync(path)
        case CM_LOG_RENAMES: self = .rename(path, to: event.to.map { String(cString: $0) } ?? "")
        case CM_LOG_REMOVES: self = .remove(path)
        case CM_LOG_SYNCS_FOLDER: self = .syncFolder
        default: return nil
        }
    }
}
