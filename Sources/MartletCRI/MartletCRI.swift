// CRI v1 messages: `runtime.proto` holds the part that is used, `Generated` the Swift made from it.
