// The room MartletScheduler; its parts come with their builders.
