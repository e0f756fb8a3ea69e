// Plays Kommo's page around a widget: an AMD loader, stand-ins for modules and globals, and the calls
// that the bot designer makes. Input and output are strings of JSON.
(function (root) {
  'use strict';
  var made;
  var widget;

  // Replaces jQuery, the page and every other module: reading, calling or constructing it returns itself.
  var anything = new Proxy(function () {}, {
    get: function (_, key) {
      if (key === Symbol.toPrimitive) {
        return function () { return ''; };
      }
      return key === 'then' || key === Symbol.iterator ? undefined : anything;
    },
    apply: function () { return anything; },
    construct: function () { return anything; }
  });

  function define() {
    var parts = Array.prototype.slice.call(arguments);
    var factory = parts.pop();
    var modules = Array.isArray(parts[parts.length - 1]) ? parts[parts.length - 1] : [];
    made = typeof factory === 'function' ? factory.apply(root, modules.map(function () { return anything; })) : factory;
  }
  define.amd = {};
  root.define = define;
  root.window = root;
  ['document', 'console', '$', 'jQuery', 'APP', 'AMOCRM'].forEach(function (name) { root[name] = anything; });

  function start(texts, settings) {
    if (typeof made !== 'function') {
      throw new Error('the module returns no constructor; call define with a function that returns one');
    }
    made.prototype.i18n = function (path) {
      return path.split('.').reduce(function (found, part) { return found === undefined ? found : found[part]; }, texts);
    };
    made.prototype.get_settings = function () { return settings; };
    made.prototype.set_settings = function () {};
    made.prototype.get_version = function () { return '1'; };
    made.prototype.get_install_status = function () { return 'installed'; };
    made.prototype.system = function () { return { area: 'salesbot_designer' }; };
    made.prototype.langs = texts;
    made.prototype.params = settings;
    widget = new made();
    if (!widget.callbacks || typeof widget.callbacks !== 'object') {
      throw new Error('the constructor does not set this.callbacks');
    }
  }

  function check(handlers) {
    var wrong = [];
    var calls = widget.callbacks;
    ['init', 'render', 'bind_actions', 'settings', 'onSave'].forEach(function (name) {
      if (typeof calls[name] !== 'function') {
        wrong.push(['callbacks.' + name, 'It must be a function.']);
      } else if (calls[name](anything) !== true) {
        wrong.push(['callbacks.' + name, 'It must return true.']);
      }
    });
    ['destroy', 'salesbotDesignerSettings', 'onSalesbotDesignerSave'].forEach(function (name) {
      if (typeof calls[name] !== 'function') {
        wrong.push(['callbacks.' + name, 'It must be a function.']);
      }
    });
    if (typeof calls.salesbotDesignerSettings === 'function') {
      handlers.forEach(function (code) {
        var shown = calls.salesbotDesignerSettings(anything, anything, { handler: code });
        var exits = shown && shown.exits;
        var good = Array.isArray(exits) && exits.length > 0 && exits.every(function (exit) {
          return typeof exit.code === 'string' && exit.code !== '' && typeof exit.title === 'string' && exit.title !== '';
        });
        if (!good) {
          wrong.push(['callbacks.salesbotDesignerSettings', 'It must return {exits: [{code, title}, …]}.']);
        }
      });
    }
    return JSON.stringify(wrong);
  }

  function save(code, params) {
    var steps = widget.callbacks.onSalesbotDesignerSave(code, params);
    if (typeof steps !== 'string') {
      throw new Error('onSalesbotDesignerSave returns ' + typeof steps + '; it must return JSON as a string');
    }
    return steps;
  }

  root.kommo = { start: start, check: check, save: save };
})(globalThis);
