// Plays Kommo's environment of a widget's script, as far as a SalesBot block needs it. `observe` runs the
// widget that was passed to `define`, and reports what its callbacks did.

var Widget;
var defined = 0;

function define() {
  var factory = arguments[arguments.length - 1];
  defined += 1;
  Widget = typeof factory === 'function' ? factory({}) : factory;
}

function observe(handler, params, texts) {
  if (defined !== 1 || typeof Widget !== 'function') {
    throw new Error('it must call define once, with a function that returns a constructor');
  }
  Widget.prototype.i18n = function (section) { return texts[section]; };
  Widget.prototype.system = function () { return { area: 'salesbot_designer', domain: 'example.kommo.com' }; };
  Widget.prototype.get_settings = function () { return {}; };

  var callbacks = new Widget().callbacks || {};
  var report = { kinds: {}, returned: {}, thrown: {} };

  function call(name) {
    report.kinds[name] = typeof callbacks[name];
    if (typeof callbacks[name] !== 'function') {
      return undefined;
    }
    try {
      return callbacks[name].apply(callbacks, Array.prototype.slice.call(arguments, 1));
    } catch (error) {
      report.thrown[name] = String(error);
      return undefined;
    }
  }

  ['init', 'render', 'bind_actions', 'settings', 'onSave', 'destroy'].forEach(function (name) {
    report.returned[name] = call(name);
  });
  report.returned.salesbotDesignerSettings = call('salesbotDesignerSettings', {}, function () {}, params);
  report.returned.onSalesbotDesignerSave = call('onSalesbotDesignerSave', handler, params);
  return JSON.stringify(report);
}
