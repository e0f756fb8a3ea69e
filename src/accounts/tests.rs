//! Accounts on a real store, with a clock that stands still and a Kommo that is played.
