// The room Martlet; its parts come with their builders.
