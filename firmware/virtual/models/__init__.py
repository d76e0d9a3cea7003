"""What parts are seen as from their pins: one file per driver, with one class `Model(spec, tapes)`."""
